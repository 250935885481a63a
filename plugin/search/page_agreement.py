"""Pages of one search agree: if the first is reranked, the later ones are too, and if not, none is.

A page that is skipped between two that are reranked shows hits twice and leaves others out. Page 1 decides;
the later ones follow it for a minute, whichever worker answers them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec
from xxhash import xxh3_64

from opensearch.search.decision import InvalidControls
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from plugin.http.caller import select_identity
from plugin.http.messages import Request, Response
from plugin.search.page_table import PageTable
from plugin.telemetry.outcome import APPLIED, SearchOutcome, outcome_of

TIMES_THE_DEADLINE = 10
LONGEST_MS = 10_000
"""A later page waits so many of its deadlines for its vector, if the first was reranked; a longer wait than
10 s is only that of the deadline itself."""

EARLIER_PAGE = "earlier_page"
"""Why a page is not reranked whose first was not."""

TRANSIENT = frozenset({"deadline", "overloaded", "model", "upstream", "verify", "internal", EARLIER_PAGE})
"""Reasons that may not hold for the next page; the others depend on the search and its indices alone."""

_OF_ONE_PAGE = frozenset({
    "_source", "_source_excludes", "_source_includes", "aggregations", "aggs", "batched_reduce_size",
    "cancel_after_time_interval", "ccs_minimize_roundtrips", "docvalue_fields", "error_trace", "explain",
    "fields", "filter_path", "format", "from", "highlight", "human", "include_named_queries_score",
    "max_concurrent_shard_requests", "phase_took", "pre_filter_shard_size", "pretty", "profile",
    "request_cache", "rest_total_hits_as_int", "script_fields", "seq_no_primary_term", "size", "stats",
    "stored_fields", "suggest", "suggest_field", "suggest_mode", "suggest_size", "suggest_text",
    "track_total_hits", "typed_keys", "version",
})  # fmt: skip
"""Parameters and keys of the body that change what a page shows, but not the order of hits."""

_SIGNED = "AWS4-HMAC-SHA256 "

Part = TypeVar("Part")


@dataclass(frozen=True)
class Page:
    """One page of a search; `key` is None for a search that is not to be reranked: nothing is noted of it."""

    table: PageTable
    on_disagreement: Callable[[], None]
    key: int | None = None
    is_first: bool = True

    def follow(self, plan: Plan | Skip | InvalidControls) -> Plan | Skip | InvalidControls:
        """Return the plan as an earlier page of the search has it."""
        if not isinstance(plan, Plan):
            return plan
        was_reranked = self._was_reranked()
        if was_reranked is None:
            return plan
        if not was_reranked:
            return Skip(EARLIER_PAGE)
        deadline_ms = plan.settings.deadline_ms
        longer_ms = max(deadline_ms, min(TIMES_THE_DEADLINE * deadline_ms, LONGEST_MS))
        patient = msgspec.structs.replace(plan.settings, deadline_ms=longer_ms)
        return replace(plan, settings=patient, follows_page=True)

    def record_response(self, response: Response) -> None:
        """Record the outcome of the page, if its client gets one."""
        outcome = outcome_of(response)
        if response.status == 200 and isinstance(outcome, SearchOutcome):
            self.record_outcome(outcome)

    def record_outcome(self, outcome: SearchOutcome) -> None:
        """Record whether the page was reranked, if that may differ from page to page."""
        reranked = outcome.result == APPLIED
        if self.key is None or not (reranked or outcome.reason in TRANSIENT):
            return
        before = self._was_reranked()
        if before is not None and before != reranked:
            self.on_disagreement()
        self.table.record(self.key, reranked=reranked if before is None else before)

    def _was_reranked(self) -> bool | None:
        return None if self.key is None or self.is_first else self.table.was_reranked(self.key)


class PageAgreement:
    """Looks the pages of searches up."""

    def __init__(self, table: PageTable | None = None) -> None:
        self._table = table or PageTable()
        self.on_disagreement: Callable[[], None] = lambda: None

    def find_page(
        self,
        request: Request,
        search: SearchRequest | Skip,
        target: Target,
        plan: Plan | Skip | InvalidControls,
    ) -> Page:
        """Return the page that a search asks for, even if it is passed through while a breaker is open."""
        settings, page = target.settings, Page(self._table, self.on_disagreement)
        if isinstance(search, Skip) or isinstance(settings, Skip) or isinstance(plan, InvalidControls):
            return page
        if isinstance(plan, Skip) and plan.reason not in TRANSIENT:
            return page
        return replace(page, key=_key(request, search, settings), is_first=search.from_ == 0)


def _key(request: Request, search: SearchRequest, settings: RerankSettings) -> int:
    """Return what all pages of one search have in common, and no other search."""
    hashed = xxh3_64()
    for name, value in select_identity(request):
        hashed.update(f"{name.lower()}\0{_lasting(value)}\0".encode("utf-8", "surrogateescape"))
    hashed.update(f"\1{search.path}\1".encode("utf-8", "surrogateescape"))
    for name, text in sorted(_lasting_parts(search.parameters).items()):
        hashed.update(f"{name}\0{text}\0".encode("utf-8", "surrogateescape"))
    hashed.update(b"\1")
    for name, raw in sorted(_lasting_parts(search.body).items()):
        hashed.update(name.encode("utf-8", "surrogatepass") + b"\0" + bytes(raw) + b"\0")
    without = msgspec.structs.replace(settings, rules=()) if settings.rules else settings  # they may be long
    hashed.update(b"\1" + msgspec.msgpack.encode(without))
    return hashed.intdigest()


def _lasting_parts(parts: Mapping[str, Part]) -> dict[str, Part]:
    return {name: part for name, part in parts.items() if name not in _OF_ONE_PAGE}


def _lasting(value: str) -> str:
    """Return the part of a signature that says who signed; the rest differs from request to request."""
    return value.partition(", SignedHeaders")[0] if value.startswith(_SIGNED) else value
