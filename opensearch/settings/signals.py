"""`fusion.signals`: fields of documents whose values raise or lower a hit beside its scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from opensearch.durations import parse_duration
from opensearch.rawjson.validation import build_error

MAX_SIGNALS = 8
NOW = "now"

_LEAST, _LARGEST = 1e-9, 1e18


class SignalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One field, and how its values count; an unknown key is an error."""

    field: Annotated[
        str, Meta(min_length=1, max_length=500, description="A numeric or date field with doc values.")
    ]
    kind: Annotated[
        Literal["log1p", "saturation", "decay"],
        Meta(
            description="How a value x becomes s, 0 to 1. `log1p`: log(1 + x) / log(1 + scale); `saturation`:"
            " x / (x + pivot); `decay`: 0.5 to the power of |x - origin| / scale."
        ),
    ]
    weight: Annotated[
        float,
        Meta(
            ge=-10,
            le=10,
            description="The score is multiplied by exp(weight x s), or by exp(|weight| x (1 - s)) if the"
            " weight is negative.",
        ),
    ]
    scale: Annotated[
        Annotated[float, Meta(ge=_LEAST, le=_LARGEST)] | str | None,
        Meta(
            description="For `log1p`: the value from which s is 1. For `decay`: the distance at which s is"
            " 0.5, a number, or a duration such as 30d for a date field."
        ),
    ] = None
    pivot: Annotated[
        Annotated[float, Meta(ge=_LEAST, le=_LARGEST)] | None,
        Meta(description="For `saturation`: the value at which s is 0.5."),
    ] = None
    origin: Annotated[
        Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)] | str | None,
        Meta(
            description="For `decay`: where s is 1, a number; for a date field a date, or `now`, the default."
        ),
    ] = None
    missing: Annotated[float, Meta(ge=0, le=1, description="The s of a document without a value.")] = 0.5

    @property
    def is_date(self) -> bool:
        """Whether the field holds dates: then `scale` is a duration."""
        return isinstance(self.scale, str)


@dataclass(frozen=True)
class DocValueField:
    """A field whose doc values are read of every hit; dates come as milliseconds since 1970."""

    name: str
    is_date: bool = False

    def as_json(self) -> str | dict[str, str]:
        """Return what `docvalue_fields` takes."""
        return {"field": self.name, "format": "epoch_millis"} if self.is_date else self.name


@dataclass(frozen=True)
class ResolvedSignal:
    """A signal in numbers; those of a date are milliseconds. `origin` is None for the present.

    `scale` is the pivot of `saturation`.
    """

    field: DocValueField
    kind: str
    weight: float
    missing: float
    scale: float
    origin: float | None

    def origin_at(self, now_ms: float) -> float:
        """Return the origin; the present is the last full minute, so that pages of a minute agree."""
        return self.origin if self.origin is not None else now_ms // 60_000 * 60_000


def check_signals(signals: Sequence[SignalSettings], place: str, remedy: str) -> None:
    """Check what the keys of each signal demand of each other.

    Raises:
        InvalidError: they do not go together.
    """
    if len(signals) > MAX_SIGNALS:
        raise build_error(place, f"at most {MAX_SIGNALS} signals", f"{len(signals)}", remedy)
    for number, each in enumerate(signals):
        problem = _find_problem(each)
        if problem is not None:
            key, expected, found = problem
            raise build_error(f"{place}[{number}].{key}", expected, found[:80], remedy)


def resolve_signals(signals: Sequence[SignalSettings]) -> tuple[ResolvedSignal, ...]:
    """Return checked signals in numbers."""
    return tuple(
        ResolvedSignal(
            DocValueField(each.field, each.is_date),
            each.kind,
            each.weight,
            each.missing,
            _read_scale(each.pivot if each.kind == "saturation" else each.scale),
            0.0 if each.kind != "decay" else _read_origin(each.origin),
        )
        for each in signals
    )


def _find_problem(signal: SignalSettings) -> tuple[str, str, str] | None:
    """Return the key, what was expected and what was found; None if there is no problem."""
    kind = signal.kind
    if any(mark in signal.field for mark in "*?"):
        return "field", "the name of one field", repr(signal.field)
    for key, kinds in (("scale", ("log1p", "decay")), ("pivot", ("saturation",)), ("origin", ("decay",))):
        value = getattr(signal, key)
        if value is not None and kind not in kinds:
            return key, f"no `{key}` for `{kind}`", repr(value)
        if value is None and kind in kinds and key != "origin":
            return key, f"`{key}` for `{kind}`", "none"
    if kind == "log1p" and isinstance(signal.scale, str):
        return "scale", "a number for `log1p`", repr(signal.scale)
    return _find_problem_of_decay(signal) if kind == "decay" else None


def _find_problem_of_decay(signal: SignalSettings) -> tuple[str, str, str] | None:
    origin = signal.origin
    if not signal.is_date:
        is_number = origin is not None and not isinstance(origin, str)
        expected = "a number, since `scale` is one (a date needs a `scale` such as 30d)"
        return None if is_number else ("origin", expected, "none" if origin is None else repr(origin))
    try:
        if not _LEAST <= _read_scale(signal.scale) <= _LARGEST:
            return "scale", "a duration above 0", repr(signal.scale)
    except ValueError:
        return "scale", "a number, or a duration such as 12h or 30d", repr(signal.scale)
    if origin is not None and not _is_date(origin):
        return "origin", "`now` or a date such as 2026-01-31, since `scale` is a duration", repr(origin)
    return None


def _is_date(origin: float | str) -> bool:
    try:
        _read_origin(origin)
    except ValueError:
        return False
    return isinstance(origin, str)


def _read_scale(value: float | str | None) -> float:
    """Return a number, or a duration in milliseconds.

    Raises:
        ValueError: it is no duration.
    """
    if isinstance(value, str):
        return parse_duration(value) * 1000
    return math.nan if value is None else value


def _read_origin(value: float | str | None) -> float | None:
    """Return a number, or a date in milliseconds since 1970; None for the present.

    Raises:
        ValueError: it is no date.
    """
    if value is None or value == NOW:
        return None
    if not isinstance(value, str):
        return value
    date = datetime.fromisoformat(value)
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp() * 1000
