"""Pins: documents at places of their own, found by the client's whole query and put between the other hits.

Every page is made by itself. What is pinned is taken out of the search, so each page is a slice of the other
hits, with those pins whose places are on it. A document that the query does not find is not shown.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import Hit
from opensearch.search.request import SearchRequest
from opensearch.search.rules import HiddenDocuments, RulePin, exclude_after, is_apart, move_q
from opensearch.search.window_request import SearchCall

PINNED = "_pinned"
"""The member of a pinned hit, beside `_rerank` of others, if an explanation is asked for: its place."""

_OF_THE_RESULT = frozenset({
    "aggregations", "aggs", "from", "profile", "rescore", "size", "suggest", "terminate_after",
    "track_total_hits",
})  # fmt: skip
"""Keys that say something of the whole result, or of hits in numbers."""

_PARAMETERS_OF_THE_RESULT = (
    "from", "request_cache", "size", "suggest_field", "suggest_mode", "suggest_size", "suggest_text",
    "terminate_after", "track_total_hits",
)  # fmt: skip

_OF_THE_PROXY = frozenset({"rerank", "ubi"})
"""Keys of `ext` that the client's search is answered and recorded by, not that for its pins."""

_EVERYTHING = Raw(b'{"match_all":{}}')


@dataclass(frozen=True)
class PinnedHit:
    """A document that a rule pins and that the query finds; `position` is its place, counted from 1."""

    hit: Hit
    index: str
    id: str
    position: int


@dataclass(frozen=True)
class PinnedPage:
    """One page of a result with pins: from `start` to `end` of the whole, counted from 0.

    `pins` come in the order of their places, which are `slots`.
    """

    pins: tuple[PinnedHit, ...]
    start: int
    end: int

    @property
    def slots(self) -> tuple[int, ...]:
        """The place of each pin, counted from 0, if there are enough other hits; no two are equal."""
        found: list[int] = []
        for pin in self.pins:
            found.append(max(pin.position - 1, found[-1] + 1 if found else 0))
        return tuple(found)

    @property
    def lower(self) -> int:
        """The first of the other hits that is asked for.

        So many come before the page's own that the end of the list is known, and the upper neighbour's score.
        """
        return max(0, self.start - sum(slot < self.start for slot in self.slots) - len(self.pins))

    @property
    def upper(self) -> int:
        """The end of the other hits that are asked for: at least one is."""
        return max(self.end - sum(slot < self.end for slot in self.slots), self.lower + 1)

    def find_places(self, num_found: int) -> list[int]:
        """Return the place of each pin if so many other hits are found: at the end, if that is near."""
        if num_found >= self.upper - self.lower:
            return list(self.slots)
        num_others = self.lower + num_found
        return [min(slot, num_others + number) for number, slot in enumerate(self.slots)]

    def merge(self, num_found: int) -> list[tuple[int | None, int]]:
        """Return what the page shows, in order.

        Each is the pin's number, or None, and for another hit its place among those that were found; for a
        pin that of the hit whose score it takes: the last one above it, -1 if there is none.
        """
        places = self.find_places(num_found)
        numbers = {place: number for number, place in enumerate(places)}
        shown: list[tuple[int | None, int]] = []
        for place in range(self.start, self.end):
            above = sum(each < place for each in places)
            other = place - above - self.lower
            if place in numbers:
                shown.append((numbers[place], other - 1))
            elif other < num_found:
                shown.append((None, other))
            else:
                break
        return shown

    def request_others(self, search: SearchRequest) -> SearchRequest:
        """Return the client's search for the other hits of the page."""
        ids: dict[str, list[str]] = defaultdict(list)
        for pin in self.pins:
            ids[pin.index].append(pin.id)
        clauses = [HiddenDocuments((index,), tuple(found)).as_clause() for index, found in ids.items()]
        parameters = {
            name: value for name, value in search.parameters.items() if name not in ("from", "size")
        }
        place = {"from": _encode(self.lower), "size": _encode(self.upper - self.lower)}
        asked = SearchRequest(search.path, parameters, {**search.body, **place})
        return exclude_after(asked, clauses)


def request_pins(search: SearchRequest, pins: Sequence[RulePin], size: int) -> SearchCall:
    """Build the request for the pinned documents that a search finds, with hits as the client wants them.

    Args:
        search: the client's, without `ext.rerank` and what rules hide.
        pins: at least one.
        size: the most hits: an id may be that of several, one in each index.
    """
    moved = move_q(search)
    query = moved.body.get("query", _EVERYTHING)
    ids = {"ids": {"values": list(dict.fromkeys(pin.id for pin in pins))}}
    body = {name: raw for name, raw in moved.body.items() if name not in _OF_THE_RESULT}
    ext = {name: raw for name, raw in moved.ext.items() if name not in _OF_THE_PROXY}
    body.pop("ext", None)
    body |= {"ext": _encode(ext)} if ext else {}
    if is_apart(query):
        own = [] if "post_filter" not in body else [body["post_filter"]]
        body["post_filter"] = _encode({"bool": {"filter": [*own, ids]}})
    else:
        body["query"] = _encode({"bool": {"must": [query], "filter": [ids]}})
        if "highlight" in body:  # not the ids
            body["highlight"] = _encode({"highlight_query": query, **moved.member("highlight")})
    body |= {"size": _encode(size), "track_total_hits": Raw(b"false")}
    parameters = moved.parameters_without(*_PARAMETERS_OF_THE_RESULT)
    if moved.is_pretty:
        parameters["pretty"] = "true"
    return SearchCall(moved.target(parameters), msgspec.json.encode(body))


def match_pins(hits: Sequence[Hit], pins: Sequence[RulePin]) -> tuple[PinnedHit, ...]:
    """Return the hits by their places, the first rule's first where two are equal; an id has its first pin's.

    Raises:
        DecodeError, KeyError: a hit does not say its name.
    """
    order: dict[str, tuple[int, int]] = {}
    for number, pin in enumerate(pins):
        order.setdefault(pin.id, (pin.position, number))
    found = []
    for hit in hits:
        index, id_ = (msgspec.json.decode(hit[name], type=str) for name in ("_index", "_id"))
        found.append(PinnedHit(hit, index, id_, order[id_][0]))
    return tuple(sorted(found, key=lambda each: order[each.id]))


def _encode(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))
