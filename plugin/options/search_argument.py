"""A command's argument to search for: words, or the body of a search."""

import json
from typing import Any

import click

from opensearch.rawjson.validation import describe_kind


def parse_search_argument(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return a body, or words. An argument that begins with a brace is a body.

    Raises:
        click.BadParameter: it begins with a brace and is not a JSON object.
    """
    return (parse_body(text), None) if text.lstrip().startswith("{") else (None, text)


def parse_body(text: str | bytes) -> dict[str, Any]:
    """Return the body of a search.

    Raises:
        click.BadParameter: it is not a JSON object.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"expected a text, or a search as JSON, found: {error}") from error
    if not isinstance(body, dict):
        raise click.BadParameter(f"expected a search as a JSON object, found {describe_kind(body)}")
    return body
