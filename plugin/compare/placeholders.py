"""What stands for a query's text in a search body, so that one body serves many queries."""

from collections.abc import Mapping
from typing import Any

PLACEHOLDERS = ("%queryText%", "%SearchText%")
"""In the strings of a body, as in Search Relevance Workbench."""


def has_placeholder(body: str) -> bool:
    """Whether the JSON of a search body has a place for a text."""
    return any(name in body for name in PLACEHOLDERS)


def fill_placeholders(value: Any, text: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return a JSON value with a query's text in place of the placeholders in its strings."""
    if isinstance(value, Mapping):
        return {name: fill_placeholders(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill_placeholders(inner, text) for inner in value]
    if isinstance(value, str):
        for name in PLACEHOLDERS:
            value = value.replace(name, text)
    return value
