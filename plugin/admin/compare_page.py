"""`/_plugins/_rerank/compare`: one search in both orders, side by side, as its caller sees them."""

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import flask
import msgspec

from opensearch.client import index_path
from opensearch.errors import AddressError
from opensearch.settings.table import RerankSettings
from plugin.admin.compare_html import PAGE, POLICY
from plugin.admin.responses import BASIC_CHALLENGE
from plugin.compare.comparison import describe_moves, disable_reranking
from plugin.compare.hit_text import hit_text
from plugin.compare.outcome_words import describe_reason
from plugin.compare.retry import retry_until_reranked, set_deadline
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.search.explain import AnsweredError, Asked, run_search, takes_ext
from plugin.search.handler import SearchHandler
from plugin.settings.cache import SettingsCache

MAX_ROWS = 100
"""Most hits on the page; a body may ask for more."""

TRIES = 3
"""How often the page's search is sent at most; meanwhile it occupies a thread of the proxy."""


class _QuestionError(Exception):
    """The form does not hold a search: says what was expected, what was found, and what to do."""


@dataclass(frozen=True)
class _Shown:
    """What the page shows below its form; `rows` of None means that nothing was searched."""

    rows: list[tuple[Any, Any, str]] | None = None
    start: int = 0
    status: str = ""
    notes: list[str] = field(default_factory=list)
    error: str = ""


def build_compare_page(
    handler: SearchHandler, settings: SettingsCache, headers: Headers, index: str, text: str
) -> flask.Response:
    """Return the page: only a form until index and text are given; errors are shown below the form.

    A 401 always has a `WWW-Authenticate` header, so that a browser asks for user and password.
    """
    shown, status = _Shown(), 200
    challenges: tuple[str, ...] = ()
    try:
        if index and text:
            shown = _compare(handler, settings, headers, index, text)
    except AnsweredError as error:
        shown, status = _Shown(error=f"OpenSearch answered {error.status}: {error}"), error.status
        challenges = error.challenges or (BASIC_CHALLENGE,)
    except UpstreamError as error:
        shown, status = _Shown(error=f"OpenSearch cannot be asked: {error}"), error.status
    except (AddressError, _QuestionError) as error:
        shown, status = _Shown(error=str(error)), 400
    page = flask.render_template_string(PAGE, index=index, text=text, **vars(shown))
    answer = flask.Response(page, status, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = POLICY
    answer.headers["Cache-Control"] = "no-store"
    for challenge in challenges if status == 401 else ():
        answer.headers.add("WWW-Authenticate", challenge)
    return answer


def _compare(
    handler: SearchHandler, settings: SettingsCache, headers: Headers, index: str, text: str
) -> _Shown:
    """Send the search both ways.

    Raises:
        AnsweredError, UpstreamError, AddressError, _QuestionError: it cannot be compared.
    """
    target = settings.find_target_as(index_path(index)[1:], headers)
    body = _parse_body(text)
    search, notes = _limit_size(Asked(index, body, text).search(target))
    if body is not None:
        notes.insert(0, "The text is a JSON object, so it was run as a search body.")
    fields = target.settings.source_fields if isinstance(target.settings, RerankSettings) else ()
    off, on = (disable_reranking(search), set_deadline(search)) if takes_ext(target) else (search, search)
    straight, _ = run_search(handler, headers, index, off)
    reranked, outcome = retry_until_reranked(
        lambda: run_search(handler, headers, index, on), lambda answer: answer[1].reason, tries=TRIES
    )
    notes += [describe_reason(outcome.reason)] if outcome.reason else []
    sides: list[list[Any]] = [_summarise_hits(found, fields) for found in (straight, reranked)]
    moved = describe_moves(*([hit["id"] for hit in side] for side in sides))
    start = search.get("from", 0)
    rows = [(before, after, move) for before, after, move in zip_longest(*sides, moved, fillvalue="")]
    return _Shown(rows, start if isinstance(start, int) else 0, outcome.status, notes)


def _parse_body(text: str) -> dict[str, Any] | None:
    """Return a pasted search body, None if the text is words."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _QuestionError(
            f"The text begins with a brace, so it was read as a search body. Expected JSON, found: {error}."
            ' Correct it, or search for the words without the brace. A body is like {"query": {"match": …}}.'
        ) from error


def _limit_size(search: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the search with at most MAX_ROWS hits, and a note if it asked for more."""
    size = search.get("size")
    if not isinstance(size, int) or size <= MAX_ROWS:
        return search, []
    return search | {"size": MAX_ROWS}, [
        f"The page shows {MAX_ROWS} hits of the {size:,} that the body asks for."
    ]


def _summarise_hits(found: dict[str, Any], fields: tuple[str, ...]) -> list[dict[str, str]]:
    return [{"id": str(hit["_id"]), "text": hit_text(hit, fields)} for hit in found["hits"]["hits"]]
