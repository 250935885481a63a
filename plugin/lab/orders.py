"""One search in both orders, as JSON values for the lab: documents, places, moves, scores and causes."""

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from indexer.document import text_of
from opensearch.client import index_path
from opensearch.search.pins import PINNED
from opensearch.settings.table import RerankSettings
from plugin.compare.comparison import ask_for_details, describe_moves, disable_reranking
from plugin.compare.hit_text import hit_text, hit_title
from plugin.compare.outcome_words import OWN_ORDER
from plugin.compare.placeholders import has_placeholder
from plugin.compare.reasons import find_reason, flatten_links
from plugin.compare.retry import retry_until_reranked, set_deadline
from plugin.http.headers import Headers
from plugin.lab.question import Question, set_controls
from plugin.lab.why import describe_scores, score_hits
from plugin.search.explain import run_search, takes_ext
from plugin.search.handler import SearchHandler
from plugin.settings.cache import SettingsCache
from plugin.telemetry.outcome import AnyOutcome

TRIES = 3
"""How often the reranked search is sent at most; meanwhile it occupies a thread of the proxy."""

TITLE_CHARS, TEXT_CHARS, SOURCE_CHARS = 200, 240, 2_000
"""Of each hit."""


def compare_orders(
    handler: SearchHandler, settings: SettingsCache, headers: Headers, index: str, question: Question
) -> dict[str, Any]:
    """Send the search both ways, as the user that the headers name, and describe both pages.

    Raises:
        AnsweredError: OpenSearch, or the proxy for a wrong `ext.rerank`, answers with an error.
        UpstreamError: OpenSearch cannot be asked.
        AddressError: no name of an index.
        BodyTextError: the body is not a search.
    """
    target = settings.find_target_as(index_path(index)[1:], headers)
    search, notes = question.build_search(target)
    takes = takes_ext(settings, target, headers)
    off = disable_reranking(search) if takes else search
    on = set_deadline(ask_for_details(set_controls(search, question.rerank))) if takes else search
    began_s = time.perf_counter()
    straight, _ = run_search(handler, headers, index, off)
    between_s = time.perf_counter()
    reranked, outcome = retry_until_reranked(
        lambda: run_search(handler, headers, index, on), lambda answer: answer[1].reason, tries=TRIES
    )
    ended_s = time.perf_counter()
    fields = target.settings.source_fields if isinstance(target.settings, RerankSettings) else ()
    titles = (question.title_field, *fields) if question.title_field else fields
    used = reranked.get("ext", {}).get("rerank")
    return {
        "query": find_label(question, used),
        "search": search,
        "from": _find_start(search),
        "status": outcome.status,
        "applied": outcome.result == "applied",
        "skipped": describe_skip(outcome.reason, index) if outcome.reason else None,
        "notes": notes,
        "used": used,
        "total": straight["hits"].get("total"),
        "elapsed_ms": {
            "opensearch": round(1e3 * (between_s - began_s), 1),
            "twinrank": round(1e3 * (ended_s - between_s), 1),
        },
        **describe_orders(straight, reranked, outcome, titles, fields),
    }


def describe_orders(
    straight: dict[str, Any],
    reranked: dict[str, Any],
    outcome: AnyOutcome,
    titles: Sequence[str],
    fields: Sequence[str],
) -> dict[str, Any]:
    """Return `documents` by key, and `orders`, two lists: keys, and keys with move, scores and pinned place.

    A document's title is the first of the fields `titles` with text; its text is that of the other `fields`.
    """
    before, after = straight["hits"].get("hits", []), reranked["hits"].get("hits", [])
    documents = {_key(hit): describe_document(hit, titles, fields) for hit in (*before, *after)}
    left, right = [_key(hit) for hit in before], [_key(hit) for hit in after]
    scored = describe_scores(score_hits(after, reranked.get("ext", {}).get("rerank")))
    moves = describe_moves(left, right)
    return {
        "documents": documents,
        "orders": {
            "opensearch": [
                {"key": key, "score": hit.get("_score")} for key, hit in zip(left, before, strict=True)
            ],
            "twinrank": [
                {"key": key, "move": move, "scores": scores, "pinned": hit.get(PINNED)}
                for key, move, scores, hit in zip(right, moves, scored, after, strict=True)
            ],
        },
    }


def describe_document(hit: dict[str, Any], titles: Sequence[str], fields: Sequence[str]) -> dict[str, Any]:
    """Return what is shown of a document in both orders alike."""
    source = hit.get("_source")
    title_field = next((name for name in titles if source and text_of(source, (name,))), None)
    others = [name for name in fields if name != title_field]
    has_more = any(source and text_of(source, (name,)) for name in others)
    return {
        "id": str(hit["_id"]),
        "index": str(hit["_index"]),
        "title": hit_title(hit, titles, TITLE_CHARS),
        "text": hit_text(hit, others, TEXT_CHARS) if title_field and has_more else "",
        "source": None if source is None else _format_source(source),
    }


def describe_skip(reason: str, index: str) -> dict[str, str]:
    """Return why a search was not reranked, and the remedy, with the index's name in its commands."""
    known = find_reason(reason)
    remedy = flatten_links(known.remedy).replace("INDEX", index)
    return {"reason": reason, "order": OWN_ORDER, "why": flatten_links(known.why), "remedy": remedy}


def find_label(question: Question, used: dict[str, Any] | None) -> str:
    """Return the query that a judgement is about, empty if none is known.

    That is the text that was searched, or the text that the proxy found in a whole body.
    """
    if not question.has_body or has_placeholder(question.body):
        return question.text.strip()
    found = used.get("query_text") if used else None
    return str(found or question.text).strip()


def _key(hit: dict[str, Any]) -> str:
    return f"{hit['_index']}/{hit['_id']}"


def _format_source(source: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(source), indent=2).decode()
    return text if len(text) <= SOURCE_CHARS else f"{text[:SOURCE_CHARS]}…"


def _find_start(search: dict[str, Any]) -> int:
    start = search.get("from", 0)
    return start if isinstance(start, int) else 0
