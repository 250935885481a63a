"""Feature values that the Learning to Rank plugin logs with each hit, if `ext.ltr_log` asks for them.

A hit then has `fields._ltrlog`, a list of one object: the name of each log and its features, `{"name": ...,
"value": ...}`. A feature that did not match has no value.
"""

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from opensearch.fields.vector_field import Hit

LTR_LOG = "ltr_log"
"""The key of `ext`."""

FIELD = "_ltrlog"

_FIELDS = msgspec.json.Decoder(dict[str, Any])


def read_logged_features(hits: Sequence[Hit]) -> dict[str, list[float]]:
    """Return every hit's value of each logged feature, 0 for a hit without one.

    Of two logs with a feature of one name, the first counts.
    """
    logged = [_read_hit(hit) for hit in hits]
    names = dict.fromkeys(name for features in logged for name in features)
    return {name: [features.get(name, 0.0) for features in logged] for name in names}


def _read_hit(hit: Hit) -> dict[str, float]:
    raw = hit.get("fields")
    logs = None if raw is None else _FIELDS.decode(raw).get(FIELD)
    found: dict[str, float] = {}
    for log in logs if isinstance(logs, list) else ():
        for entries in log.values() if isinstance(log, dict) else ():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    found.setdefault(entry["name"], _read_number(entry.get("value")))
    return found


def _read_number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else 0.0  # type: ignore[arg-type]
