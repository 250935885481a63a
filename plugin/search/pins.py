"""Searches with pins: the pinned documents are asked for first, then the other hits of the page.

`PinPlanner.plan` finds the pinned documents and plans the search for the others; `insert_pins` puts both
together once that is answered, reranked or not.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import Hit
from opensearch.rawjson.style import Style
from opensearch.rawjson.validation import InvalidError
from opensearch.search.ext import take_controls
from opensearch.search.pins import PINNED, PinnedHit, PinnedPage, match_pins, request_pins
from opensearch.search.plan import Plan
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.response import SearchResponse, UnusableResponseError
from opensearch.search.rules import RuleEffects
from opensearch.search.scores import copy_score, set_score
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from plugin.experiments.attributes import NOBODYS, TEAMS, join_names, split_names
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import build_redaction
from plugin.search.planner import SearchPlanner
from plugin.search.search import Search
from plugin.search.upstream_exchange import ask, read_response
from plugin.telemetry.outcome import SearchOutcome
from plugin.upstream.client import Upstream

_log = logging.getLogger("twinrank.search")
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_DEPTH_IN_A_HIT = 4


class PinPlanner:
    """Plans the searches that pins apply to, in front of one OpenSearch."""

    def __init__(self, upstream: Upstream, planner: SearchPlanner) -> None:
        self._upstream = upstream
        self._planner = planner

    def plan(
        self, request: Request, indices: str, asked: SearchRequest, target: Target, rules: RuleEffects
    ) -> Search:
        """Plan one search.

        Args:
            request: the client's.
            indices: the indices part of the search's path.
            asked: the search.
            target: what its indices say.
            rules: what the rules that apply to it do; it has pins.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
            ClientDisconnectedError: nobody waits for the answer any more.
        """
        try:
            recorded = self._planner.take_recorded(asked)
            own = _take_own(asked if recorded is None else recorded.sent, target)
        except (InvalidError, msgspec.DecodeError, RecursionError):  # it is refused, or OpenSearch refuses it
            own = None
        if own is None or not can_pin(own):
            return self._plan(request, indices, asked, target, rules)
        if own.size == 0:  # no page: the total counts the pinned documents among the others
            return self._plan(request, indices, asked, target, replace(rules, pins=()))
        try:
            found = self._fetch(request, rules.hide_in(own), target, rules)
        except UnusableResponseError as error:
            _log.warning("pins cannot be asked for, so the client's own search is sent: %s", error)
            return self._plan(request, indices, asked, target, rules).skip(Skip("upstream"))
        ruled = replace(rules, num_pinned=len(found))
        if not found:
            return self._plan(request, indices, asked, target, ruled)
        page = PinnedPage(found, own.from_, own.from_ + own.size)
        others = page.request_others(asked)
        search = self._plan(request, indices, others, target, ruled, fallback="pin")
        if search.plan == Skip("upstream"):  # a breaker is open, so the client's own search is sent
            return replace(search, forward=own, plain=own)
        if recorded is not None and search.recorded is not None:  # the record is of the client's own search
            recorded = replace(recorded, is_left_to_plugin=search.recorded.is_left_to_plugin)
        forward = search.forward or others
        return replace(search, forward=forward, plain=own, pinned=page, recorded=recorded)

    def _plan(
        self,
        request: Request,
        indices: str,
        asked: SearchRequest,
        target: Target,
        rules: RuleEffects,
        *,
        fallback: str | None = None,
    ) -> Search:
        """Plan a search by what is known of its indices."""
        with request.context.stage("plan"):
            return self._planner.plan(request, indices, asked, target=target, rules=rules, fallback=fallback)

    def _fetch(
        self, request: Request, search: SearchRequest, target: Target, rules: RuleEffects
    ) -> tuple[PinnedHit, ...]:
        """Return the pinned documents that a search finds.

        Raises:
            UnusableResponseError: OpenSearch refuses the search for them, or answers it partially.
        """
        size = len({pin.id for pin in rules.pins}) * max(1, len(target.fields))
        call = request_pins(search, rules.pins, min(size, max(1, target.max_result_window)))
        with request.context.stage("opensearch"):
            exchange = ask(self._upstream, request, call)
            redact = build_redaction(target, search)
            if redact is not None and exchange.status == 200:
                exchange = replace(exchange, body=redact(exchange.body))
            response = read_response(exchange)
        try:
            return match_pins(response.hits, rules.pins)
        except (msgspec.DecodeError, KeyError) as error:
            raise UnusableResponseError(f"expected _index and _id in every hit, found: {error}") from error


def can_pin(search: SearchRequest) -> bool:
    """Whether hits can be put into a search's page: it shows whole hits, each of them once.

    `collapse` may show a pinned document as another one's inner hit, and `filter_path` leaves hits out.
    """
    try:
        search.ext, search.from_, search.size  # noqa: B018  # read here for the first time
    except NotUnderstoodError:
        return False
    is_whole = "filter_path" not in search.parameters and "collapse" not in search.body
    return is_whole and "_none_" not in search.stored_fields


def insert_pins(search: Search, response: Response) -> Response:
    """Return the answer to the search for the other hits with the pins in their places.

    Raises:
        UnusableResponseError: it is no complete answer.
    """
    page = search.pinned
    if page is None or response.status != 200 or not isinstance(response.body, bytes):
        return response
    found = SearchResponse.parse(response.body)
    merged = page.merge(len(found.hits))
    explains = isinstance(search.plan, Plan) and search.plan.details
    hits = [
        _show_other(found.hits[other], page.start + place, found.style)
        if number is None
        else _show_pin(page.pins[number], found, other, explains=explains)
        for place, (number, other) in enumerate(merged)
    ]
    body = found.with_hits(hits, total=_find_total(found, len(page.pins)))
    outcome = response.outcome
    if isinstance(outcome, SearchOutcome) and outcome.attributes.get(TEAMS):
        teams = _place_teams(split_names(outcome.attributes[TEAMS]), merged)
        outcome = replace(outcome, attributes={**outcome.attributes, TEAMS: join_names(teams)})
    return replace(response, body=body, outcome=outcome)


def _take_own(search: SearchRequest, target: Target) -> SearchRequest:
    """Return a search without its `ext.rerank`.

    Raises:
        InvalidError, DecodeError, RecursionError: that is wrong.
    """
    return search.with_body(take_controls(dict(search.body))[1]) if target.is_ours else search


def _show_other(hit: Hit, place: int, style: Style) -> Hit:
    """Return another hit; if it says its rank, that is the one beside the pins."""
    if "_rerank" not in hit:
        return hit
    details = {**_OBJECT.decode(hit["_rerank"]), "rank": Raw(str(place + 1).encode())}
    return {**hit, "_rerank": style.object(details, _DEPTH_IN_A_HIT)}


def _show_pin(pin: PinnedHit, found: SearchResponse, above: int, *, explains: bool) -> Hit:
    """Return a pinned hit with its upper neighbour's score; the first has the highest one."""
    hit = pin.hit
    highest = found.envelope.get("max_score", Raw(b"null"))
    if 0 <= above < len(found.hits):
        hit = copy_score(hit, found.hits[above])
    elif bytes(highest) != b"null":
        hit = set_score(hit, highest)
    if not explains:
        return hit
    return {**hit, PINNED: Raw(str(pin.position).encode())}


def _find_total(found: SearchResponse, num_pins: int) -> int | None:
    """Return the number of all hits, None if it is not known exactly."""
    raw = found.envelope.get("total")
    total = None if raw is None else msgspec.json.decode(raw)
    if isinstance(total, int):
        return total + num_pins
    is_exact = isinstance(total, dict) and total.get("relation") == "eq"
    return int(total["value"]) + num_pins if is_exact and total is not None else None


def _place_teams(teams: Sequence[str], merged: Sequence[tuple[int | None, int]]) -> list[str]:
    """Return the teams of the page's hits; a pin is nobody's."""
    return [teams[other] if number is None and other < len(teams) else NOBODYS for number, other in merged]
