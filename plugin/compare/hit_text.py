"""The text of a hit, for people: its source fields, or the best that its source has."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from indexer.document import text_of

SHOWN_CHARS = 160
"""Of each hit's text."""

_LIKELY = ("title", "name", "text")


def hit_text(hit: dict[str, Any], fields: Sequence[str], chars: int = SHOWN_CHARS) -> str:
    """Return the beginning of a hit's text on one line, at most `chars` characters and an ellipsis.

    That is the text of `fields`, dotted paths into its source. A hit without them shows `title`, `name` or
    `text`, or else the longest string at any depth, or else its source as JSON.
    """
    source = hit.get("_source")
    if not source:
        return "(no _source)"
    found = [text for field in fields if (text := text_of(source, (field,)))]
    return _cut(" · ".join(found) or _fallback(source), chars)


def hit_title(hit: dict[str, Any], fields: Sequence[str], chars: int = SHOWN_CHARS) -> str:
    """Return the first of `fields` that has text, on one line, as `hit_text` does.

    A hit without such a field shows what `hit_text` shows; one without a source shows its `_id`.
    """
    source = hit.get("_source")
    if not source:
        return str(hit.get("_id", hit_text(hit, fields)))
    return _cut(
        next((text for field in fields if (text := text_of(source, (field,)))), ""), chars
    ) or hit_text(hit, fields, chars)


def _cut(text: str, chars: int) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= chars else plain[:chars] + "…"


def _fallback(source: dict[str, Any]) -> str:
    likely = next((text for name in _LIKELY if (text := text_of(source, (name,)))), "")
    longest: str = max(_strings(source), key=len, default="")
    return likely or longest or msgspec.json.encode(source).decode()


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401  # any JSON value
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
