"""Durations as OpenSearch's settings write them: 60s, 500ms, -1."""

import re

_UNITS_S = {"nanos": 1e-9, "micros": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(rf"(-?\d+(?:\.\d+)?)({'|'.join(_UNITS_S)})?")


def parse_duration(duration: str) -> float:
    """Return a duration in seconds; one without a unit is -1 or 0.

    Raises:
        ValueError: it is none.
    """
    found = _DURATION.fullmatch(duration.strip().lower())
    if found is None:
        raise ValueError(f"expected a duration such as 60s, found {duration!r}")
    return float(found[1]) * _UNITS_S[found[2] or "s"]
