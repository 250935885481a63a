"""Read numbers and booleans as OpenSearch's parsers do, which take more spellings than JSON's own.

Seen on 3.8: a body's `size` may be `10`, `10.0`, `1e1`, `10.7`, `"10"` or `" 1e1 "`, all of them 10. In the
URL it is digits with or without a sign.
"""

import math
import re

MAX_INT = 2**31 - 1
"""The largest such number that OpenSearch reads: Java's `int`."""

_MAX_DIGITS = 18
_DOUBLE = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?", re.ASCII)
_INT = re.compile(r"[+-]?\d+")
_BLANKS = "".join(map(chr, range(33)))
"""The characters that Java trims."""


def read_whole_number(value: object) -> int | None:
    """Return a body's number, or its text, as a whole number; None if OpenSearch does not read it as one.

    Fractions are cut off. So are those of a negative number: -0.5 is 0.
    """
    if isinstance(value, str):
        value = _read_double(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    number = int(value)
    return number if abs(number) <= MAX_INT else None


def read_whole_number_of_url(text: str) -> int | None:
    """Return a URL parameter as a whole number; None if OpenSearch does not read it as one."""
    if not _INT.fullmatch(text) or len(text) > _MAX_DIGITS:
        return None
    number = int(text)
    return number if abs(number) <= MAX_INT else None


def is_true(value: object) -> bool:
    """Whether a body's value is true: as JSON or as text. Any other text is false or refused."""
    return value is True or value == "true"


def _read_double(text: str) -> float | None:
    plain = text.strip(_BLANKS)
    return float(plain.rstrip("fFdD")) if _DOUBLE.fullmatch(plain) else None
