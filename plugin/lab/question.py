"""What the lab is asked: a text or a whole search body, the title field, and what the sliders say."""

import json
from typing import Any, NoReturn

import msgspec

from opensearch.rawjson.prepared import prepared
from opensearch.rawjson.validation import InvalidError, validate
from opensearch.settings.target import Target
from plugin.compare.placeholders import PLACEHOLDERS, fill_placeholders, has_placeholder
from plugin.search.explain import Asked

MAX_HITS = 100
"""Most hits in a column; a body may ask for more."""

_REMEDY = "Reload the page"


class BodyTextError(Exception):
    """The search body is not a JSON object; `line` and `column` count from 1, None if no place is known."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@prepared
class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request of the page.

    `body` is the text of a search body, empty for a search of `text` in the source fields. `rerank` is what
    differs from the index's settings, in the form of `ext.rerank`.
    """

    text: str = ""
    body: str = ""
    title_field: str = ""
    rerank: dict[str, Any] = {}

    @property
    def has_body(self) -> bool:
        """Whether a whole search body was given."""
        return bool(self.body.strip())

    def build_search(self, target: Target) -> tuple[dict[str, Any], list[str]]:
        """Return the search's body with at most MAX_HITS hits, and notes on what was changed.

        Raises:
            BodyTextError: the body is not a JSON object, or asks for a text that was not given.
        """
        if not self.has_body:
            return Asked("", None, self.text).search(target), []
        body, notes = parse_body(self.body), []
        if has_placeholder(self.body) and not self.text:
            raise BodyTextError("The body has a place for the text: type the text too.")
        if self.text and not has_placeholder(self.body):
            notes.append(f"The body has no {PLACEHOLDERS[0]}, so the text is not used.")
        filled: dict[str, Any] = fill_placeholders(body, self.text)
        return _leave_out_recording(*_limit_size(filled, notes))


def read_question(value: dict[str, Any]) -> Question:
    """Return a request's decoded JSON object as a question.

    Raises:
        InvalidError: an unknown key or a value of a wrong type.
    """
    question = validate(value, Question, "lab", _REMEDY)
    if not question.text.strip() and not question.has_body:
        raise InvalidError("expected a text or a search body, found neither. Type what to look for")
    return question


def parse_body(text: str) -> dict[str, Any]:
    """Return a search body.

    Raises:
        BodyTextError: it is not a JSON object that OpenSearch can be sent.
    """
    try:
        body = json.loads(text, parse_constant=_refuse_constant)
        msgspec.json.encode(body)
    except json.JSONDecodeError as error:
        raise BodyTextError(
            f"Line {error.lineno}, column {error.colno}: {error.msg}.", error.lineno, error.colno
        ) from error
    except UnicodeEncodeError as error:
        raise BodyTextError("The body has half of a surrogate pair, which is no character.") from error
    except (ValueError, RecursionError) as error:
        raise BodyTextError(f"The body is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BodyTextError('Expected a JSON object, such as {"query": {"match": {"title": "words"}}}.', 1, 1)
    return body


def set_controls(search: dict[str, Any], controls: dict[str, Any]) -> dict[str, Any]:
    """Return a search body with more keys of `ext.rerank`; those of `fusion` are merged.

    A body whose `ext.rerank` is no object is returned as it is, for the proxy to refuse.
    """
    ext = search.get("ext", {})
    rerank = ext.get("rerank", {}) if isinstance(ext, dict) else None
    if not isinstance(rerank, dict) or not isinstance(rerank.get("fusion", {}), dict):
        return search
    given = controls.get("fusion", {})
    fusion = {**rerank.get("fusion", {}), **given} if isinstance(given, dict) else given
    merged = {**rerank, **controls, **({"fusion": fusion} if fusion else {})}
    return search | {"ext": {**ext, "rerank": merged}}


def _limit_size(search: dict[str, Any], notes: list[str]) -> tuple[dict[str, Any], list[str]]:
    size = search.get("size")
    if not isinstance(size, int) or size <= MAX_HITS:
        return search, notes
    note = f"The lab shows {MAX_HITS} hits of the {size:,} that the body asks for."
    return search | {"size": MAX_HITS}, [*notes, note]


def _leave_out_recording(search: dict[str, Any], notes: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Leave out `ext.ubi`: nobody searched, so nothing is to be recorded."""
    ext = search.get("ext")
    if not isinstance(ext, dict) or "ubi" not in ext:
        return search, notes
    others = {name: value for name, value in ext.items() if name != "ubi"}
    note = "ext.ubi was left out: searches of the lab are not recorded."
    return search | {"ext": others}, [*notes, note]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")
