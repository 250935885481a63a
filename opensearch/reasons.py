"""OpenSearch's error objects as one plain line."""

from typing import Any

MAX_CHARS = 1000
"""Reasons may quote what was sent, however long: more than this helps nobody."""


def reason_of(error: Any) -> str:  # noqa: ANN401  # whatever stands under `error` in an answer
    """Return `type: reason` and the reasons of its causes, outermost first, on one line."""
    if not isinstance(error, dict):
        return " ".join(str(error).split()) or "no reason given"
    parts: list[str] = []
    cause: Any = error
    while isinstance(cause, dict):
        part = " ".join(str(cause.get("reason") or "").split())
        if part and part not in parts:
            parts.append(part)
        cause = cause.get("caused_by")
    return f"{error.get('type', 'error')}: {'; '.join(parts):.{MAX_CHARS}}"
