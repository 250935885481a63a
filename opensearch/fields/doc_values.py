"""Numbers, dates and texts among the doc values of hits, as `docvalue_fields` returns them."""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from opensearch.fields.vector_field import Hit
from opensearch.settings.signals import DocValueField

_FIELDS = msgspec.json.Decoder(dict[str, list[Any]])

Values = dict[str, list[Any]]

_UNFIT = (b"fielddata", b"support formats", b"custom formats", b"doc values")
"""What OpenSearch says of a field whose doc values it cannot return."""


def read_numbers(hits: Sequence[Hit], fields: Sequence[DocValueField]) -> list[list[float]]:
    """Return for each field every hit's value, NaN if it has none that is a number.

    Of several values the smallest counts, which is the first one in OpenSearch. Dates are whole milliseconds
    since 1970.
    """
    decoded = [_read_fields(hit) for hit in hits]
    return [[_read_smallest(each.get(field.name, ()), field) for each in decoded] for field in fields]


def read_texts(hits: Sequence[Hit], fields: Sequence[str]) -> list[list[str]]:
    """Return for each hit the values of all these fields as texts; a whole number has no point."""
    decoded = [_read_fields(hit) for hit in hits]
    return [
        [text for name in fields if name in values for text in map(_as_text, values[name])]
        for values in decoded
    ]


def refuses_doc_values(body: bytes) -> bool:
    """Whether an error of OpenSearch says that a field, such as a `text`, has no doc values to return."""
    return any(word in body for word in _UNFIT)


def _read_fields(hit: Hit) -> Values:
    raw = hit.get("fields")
    return {} if raw is None else _FIELDS.decode(raw)


def _as_text(value: Any) -> str:  # noqa: ANN401  # any JSON value
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_smallest(values: Sequence[Any], field: DocValueField) -> float:
    if len(values) == 1:
        return _read_number(values[0], is_date=field.is_date)
    found = [_read_number(value, is_date=field.is_date) for value in values]
    return min((number for number in found if not math.isnan(number)), default=math.nan)


def _read_number(value: Any, *, is_date: bool) -> float:  # noqa: ANN401  # any JSON value
    """Return a number, or the milliseconds of a formatted date; a number is no date, nor a text a number."""
    if is_date:
        try:
            return float(int(value.partition(".")[0])) if isinstance(value, str) else math.nan
        except (ValueError, OverflowError):
            return math.nan
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
