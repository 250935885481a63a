"""Numbers and dates among the doc values of hits."""

import json
import math

import pytest
from msgspec import Raw

from opensearch.fields.doc_values import read_numbers, refuses_doc_values
from opensearch.settings.signals import DocValueField

SALES, DATE = DocValueField("sales"), DocValueField("date", is_date=True)


def numbers(field: DocValueField, *values: object) -> list[float]:
    hits = [{"fields": Raw(json.dumps({field.name: value}).encode())} for value in values]
    ((found,),) = (read_numbers(hits, [field]),)
    return found


def test_of_several_numbers_the_smallest_counts() -> None:
    assert numbers(SALES, [5], [2.5, 9, 3], [-1]) == [5, 2.5, -1]


@pytest.mark.parametrize("value", [[], ["7"], [True], [None], ["2026-01-01T00:00:00.000Z"], [{"a": 1}]])
def test_what_is_no_number_counts_as_missing(value: object) -> None:
    assert math.isnan(numbers(SALES, value)[0])


def test_dates_are_whole_milliseconds() -> None:
    found = numbers(DATE, ["1700000000000"], ["1700000000000.999999"], ["-5", "7"])
    assert found == [1_700_000_000_000, 1_700_000_000_000, -5]


@pytest.mark.parametrize("value", [[17], ["2026-01-01"], ["epoch_millis17"], ["inf"], ["nan"], []])
def test_what_is_no_date_counts_as_missing(value: object) -> None:
    assert math.isnan(numbers(DATE, value)[0])


def test_a_hit_without_fields_has_no_value() -> None:
    found = read_numbers([{}, {"fields": Raw(b'{"other":[1]}')}], [SALES, DATE])
    assert [[math.isnan(each) for each in field] for field in found] == [[True, True], [True, True]]


def test_values_of_both_forms_of_one_field_do_not_mix() -> None:
    hit = {"fields": Raw(b'{"date":["2026-01-01T00:00:00.000Z","1767225600000"]}')}
    ((plain,), (date,)) = read_numbers([hit], [DocValueField("date"), DATE])
    assert math.isnan(plain)
    assert date == 1_767_225_600_000


def test_a_refusal_is_told_from_other_errors() -> None:
    assert refuses_doc_values(b"Text fields are not optimised ... set fielddata=true on [title]")
    assert not refuses_doc_values(
        b'{"error":{"type":"parsing_exception","reason":"unknown query [nothing]"}}'
    )
