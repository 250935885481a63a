"""`fusion.signals`: what each kind takes, in which numbers, and how a refusal reads."""

from typing import Any

import pytest

from opensearch.index.doc_value_fields import find_doc_value_problems
from opensearch.index.metadata import Index
from opensearch.settings.layers import flatten
from opensearch.settings.signals import MAX_SIGNALS, ResolvedSignal, resolve_signals
from opensearch.settings.table import RerankSettings, SettingsError, encode_settings
from opensearch.settings.validation import parse_settings
from reranker.signals import KINDS

LEAST: dict[str, Any] = {"model": "m", "source_fields": ["t"]}
POPULARITY = {"field": "sales", "kind": "log1p", "weight": 2, "scale": 1000}
RATING = {"field": "rating", "kind": "saturation", "weight": -1, "pivot": 3, "missing": 0}
AGE = {"field": "date", "kind": "decay", "weight": 1, "scale": "30d"}
PRICE = {"field": "price", "kind": "decay", "weight": 1, "scale": 5, "origin": 20}
ALL = [POPULARITY, RATING, AGE, PRICE]


def parsed(*signals: object) -> RerankSettings:
    return parse_settings(LEAST | {"fusion": {"signals": list(signals)}})


def test_every_kind_survives_the_mapping_and_is_shown_as_it_was_set() -> None:
    settings = parsed(*ALL)
    assert encode_settings(settings) == LEAST | {"fusion": {"signals": ALL}}
    assert parse_settings(encode_settings(settings)) == settings
    assert dict(flatten(settings))["fusion.signals"] == ALL


def resolved(*signals: object) -> tuple[ResolvedSignal, ...]:
    return resolve_signals(parsed(*signals).fusion.signals)


def test_a_date_is_in_milliseconds() -> None:
    (signal,) = resolved(AGE)
    assert (signal.scale, signal.origin, signal.field.is_date) == (30 * 86_400_000, None, True)
    assert signal.field.as_json() == {"field": "date", "format": "epoch_millis"}
    (dated,) = resolved(AGE | {"origin": "1970-01-02"})
    assert dated.origin == dated.origin_at(5e12) == 86_400_000
    (zoned,) = resolved(AGE | {"origin": "1970-01-02T01:00:00+01:00"})
    assert zoned.origin == dated.origin


def test_the_present_is_the_last_full_minute() -> None:
    """So that the pages of one search have the same origin."""
    (signal,) = resolved(AGE | {"origin": "now"})
    assert signal.origin_at(120_000) == signal.origin_at(179_999) == 120_000


def test_the_pivot_is_a_scale_and_a_number_is_no_date() -> None:
    popularity, rating, price = resolved(POPULARITY, RATING, PRICE)
    assert (popularity.scale, rating.scale, price.scale, price.origin) == (1000, 3, 5, 20)
    assert not any(each.field.is_date for each in (popularity, rating, price))
    assert price.field.as_json() == "price"


WRONG = {
    "[0].kind: expected one of log1p, saturation, decay, found \"linear\"": POPULARITY | {"kind": "linear"},
    "[0].weight: expected a number <= 10.0, found 11": POPULARITY | {"weight": 11},
    "[0].weight: expected a number >= -10.0, found -11": POPULARITY | {"weight": -11},
    "[0].weight: expected this setting, found none": {"field": "sales", "kind": "log1p", "scale": 3},
    "[0].missing: expected a number <= 1.0, found 2": POPULARITY | {"missing": 2},
    "[0].scale: expected `scale` for `log1p`, found none": {"field": "a", "kind": "log1p", "weight": 1},
    "[0].scale: expected a number >= 1e-09, found 0": POPULARITY | {"scale": 0},
    "[0].scale: expected a number for `log1p`, found '3d'": POPULARITY | {"scale": "3d"},
    "[0].pivot: expected no `pivot` for `log1p`, found 3.0": POPULARITY | {"pivot": 3},
    "[0].pivot: expected `pivot` for `saturation`, found none": {
        "field": "a", "kind": "saturation", "weight": 1,
    },
    "[0].scale: expected no `scale` for `saturation`, found 3.0": RATING | {"scale": 3},
    "[0].origin: expected no `origin` for `saturation`, found 'now'": RATING | {"origin": "now"},
    "[0].scale: expected a number, or a duration such as 12h or 30d, found 'soon'": AGE | {"scale": "soon"},
    "[0].scale: expected a duration above 0, found '0d'": AGE | {"scale": "0d"},
    "[0].origin: expected `now` or a date such as 2026-01-31": AGE | {"origin": "yesterday"},
    "[0].origin: expected `now` or a date such as 2026-01-31, since": AGE | {"origin": 5},
    "[0].origin: expected a number, since `scale` is one": PRICE | {"origin": "now"},
    "[0].field: expected the name of one field, found 'sales*'": POPULARITY | {"field": "sales*"},
    "[0].wieght: expected one of field, kind, weight,": {"field": "a", "kind": "log1p", "wieght": 1},
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_what_does_not_go_together_is_refused(message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parsed(WRONG[message])
    assert str(refused.value).startswith(f"_meta.rerank.fusion.signals{message}")
    assert str(refused.value).endswith("Correct it with PUT _mapping")


def test_the_wrong_one_of_several_is_named() -> None:
    with pytest.raises(SettingsError, match=r"signals\[1\].pivot: expected no `pivot`"):
        parsed(POPULARITY, POPULARITY | {"pivot": 1})


def test_there_are_at_most_so_many() -> None:
    assert len(parsed(*[POPULARITY] * MAX_SIGNALS).fusion.signals) == MAX_SIGNALS
    with pytest.raises(SettingsError, match=r"signals: expected at most 8 signals, found 9\."):
        parsed(*[POPULARITY] * (MAX_SIGNALS + 1))


def test_the_kinds_are_those_of_the_reranker() -> None:
    for kind in KINDS:
        assert any(each["kind"] == kind for each in ALL)
    assert "one of " + ", ".join(KINDS) in next(iter(WRONG))


MAPPING = {
    "properties": {
        "sales": {"type": "long"},
        "date": {"type": "date"},
        "title": {"type": "text", "fields": {"length": {"type": "token_count"}}},
        "shop": {"properties": {"rating": {"type": "half_float"}}},
        "stars": {"type": "alias", "path": "shop.rating"},
        "hidden": {"type": "long", "doc_values": False},
    }
}


@pytest.mark.parametrize(
    ("signal", "problem"),
    [
        (POPULARITY, None),
        (AGE, None),
        (POPULARITY | {"field": "title.length"}, None),
        (POPULARITY | {"field": "shop.rating"}, None),
        (POPULARITY | {"field": "stars"}, None),
        (POPULARITY | {"field": "not.yet"}, None),
        (POPULARITY | {"field": "title"}, "found title of books, a field of type text"),
        (POPULARITY | {"field": "date"}, "numeric field with doc values, found date of books"),
        (POPULARITY | {"field": "shop"}, "found shop of books, a field of type object"),
        (POPULARITY | {"field": "hidden"}, "found hidden of books, one with `doc_values: false`"),
        (AGE | {"field": "sales"}, "date field with doc values, found sales of books, a field of type long"),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_that_has_no_such_values_is_named(signal: dict[str, Any], problem: str | None) -> None:
    found = list(find_doc_value_problems(Index("books", MAPPING, {}, {}), parsed(signal)))
    assert len(found) == (problem is not None)
    assert problem is None or problem in found[0]
