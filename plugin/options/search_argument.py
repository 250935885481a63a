"""What a command searches for: words, or the body of a search, as an argument or from a file."""

import json
from collections.abc import Callable
from typing import IO, Any, NoReturn, TypeVar

import click

from opensearch.rawjson.validation import describe_kind

DEFAULT_SIZE, MAX_SIZE = 10, 100
"""Hits that a command shows."""


Command = TypeVar("Command", bound=Callable[..., Any])

_BODY = "--body"

body_option = click.option(
    _BODY, type=click.File("rb"), metavar="FILE", help="A search as JSON, in place of TEXT; - is stdin."
)
size_option = click.option(
    "--size",
    type=click.IntRange(1, MAX_SIZE),
    help=f"Hits to show.  [default: {DEFAULT_SIZE}, or what the search says]",
)


def read_search(text: str | None, body: IO[bytes] | None) -> tuple[dict[str, Any] | None, str | None]:
    """Return the body in the file, or what the argument is: a body, or words.

    Raises:
        click.UsageError: both are given, or neither, or a body is not a JSON object.
    """
    if body is not None and text is None:
        return parse_body(_read(body), _BODY), None
    if text is None or body is not None:
        raise click.UsageError("expected either TEXT or --body FILE")
    if not text.strip():
        raise click.UsageError("expected words or a search as TEXT, found nothing")
    return parse_search_argument(text)


def set_size(body: dict[str, Any], size: int | None) -> dict[str, Any]:
    """Return a search's body with this size, if one is given."""
    return body if size is None else body | {"size": size}


def parse_search_argument(text: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return a body, or words. An argument that begins with a brace is a body.

    Raises:
        click.BadParameter: it begins with a brace and is not a JSON object.
    """
    return (parse_body(text), None) if text.lstrip().startswith("{") else (None, text)


def parse_body(text: str | bytes, hint: str = "TEXT") -> dict[str, Any]:
    """Return the body of a search; `hint` is the argument or option that it came from.

    Raises:
        click.BadParameter: it is not a JSON object.
    """
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        kinds = "a search as JSON" if hint == _BODY else "a text, or a search as JSON"
        raise click.BadParameter(f"expected {kinds}, found: {error}", param_hint=hint) from error
    if not isinstance(body, dict):
        raise click.BadParameter(
            f"expected a search as a JSON object, found {describe_kind(body)}", param_hint=hint
        )
    return body


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which JSON does not have")


def _read(body: IO[bytes]) -> bytes:
    try:
        return body.read()
    except OSError as error:
        raise click.BadParameter(f"{body.name}: {error.strerror}", param_hint=_BODY) from error
