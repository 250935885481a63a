"""What the rules that apply to one search do to its request: documents are hidden in the query itself.

A `must_not` leaves scores and the order of the other hits as they are, and totals, pages and facets are those
of a result without the hidden documents.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.search.parameters import OF_THE_QUERY_STRING
from opensearch.search.request import SearchRequest
from opensearch.settings.rules import BoostAction

APART = frozenset({"hybrid", "knn"})
"""Queries that stand alone, or that find other documents beside a clause: documents are hidden after them."""

_OPTIONS_OF_Q = {
    "df": "default_field", "default_operator": "default_operator", "analyzer": "analyzer",
    "analyze_wildcard": "analyze_wildcard", "lenient": "lenient",
}  # fmt: skip
"""The companions of `q` in the URL, and their names in a `query_string`."""

_EVERYTHING = Raw(b'{"match_all":{}}')


@dataclass(frozen=True)
class HiddenDocuments:
    """Documents that are hidden, in each of these concrete indices alike."""

    indices: tuple[str, ...]
    ids: tuple[str, ...]

    def as_clause(self) -> dict[str, Any]:
        """Return the query that finds them; an id alone would find others in the target's other indices."""
        return {
            "bool": {"filter": [{"terms": {"_index": self.indices}}, {"ids": {"values": self.ids}}]},
        }


@dataclass(frozen=True)
class RuleBoost:
    """A boost or a bury of the rule at this place in the settings, counted from 0."""

    rule: int
    action: BoostAction
    is_bury: bool

    @property
    def log_factor(self) -> float:
        """The logarithm of its factor."""
        return math.log(self.action.factor)

    @property
    def field(self) -> str | None:
        """The field that it reads, None if it names documents."""
        return next(iter(self.action.term), None) if self.action.term else None

    @property
    def value(self) -> str:
        """The value that a document must have in the field, as a text; empty if it names documents."""
        value = "" if not self.action.term else next(iter(self.action.term.values()))
        return str(value).lower() if isinstance(value, bool) else str(value)

    def as_function(self) -> dict[str, Any]:
        """Return the function of a `function_score`: the others are multiplied in place of a division."""
        ids, term = self.action.ids, self.action.term
        found = {"ids": {"values": ids}} if ids else {"term": term}
        chosen = {"bool": {"must_not": [found]}} if self.is_bury else found
        return {"filter": chosen, "weight": self.action.factor}


@dataclass(frozen=True)
class RulePin:
    """A document that a rule wants at a place, counted from 1."""

    id: str
    position: int


@dataclass(frozen=True)
class RuleEffects:
    """What the rules that apply to a search do, all together.

    `hidden` is what the query does not find. `boosts` order the hits of a window. `reranks` is False if a
    rule asks for OpenSearch's own order. `is_barred` says that no rule is applied to this search, whatever
    they are: it has an order of its own, or cannot be read. `pins` come in the order of their rules;
    `num_pinned` is how many documents of them are on their places, None if that is not known. `problem` says
    in a word why a document of rules cannot be read.
    """

    hidden: tuple[HiddenDocuments, ...] = ()
    boosts: tuple[RuleBoost, ...] = ()
    reranks: bool = True
    is_barred: bool = False
    pins: tuple[RulePin, ...] = ()
    num_pinned: int | None = None
    problem: str = ""

    @property
    def num_hidden(self) -> int:
        """How many documents are hidden, if all of them exist."""
        return sum(len(each.ids) * len(each.indices) for each in self.hidden)

    def describe(self, num_boosts: int = 0) -> str:
        """Return what `Rerank-Status` says; `num_boosts` is how many of the boosts made the order."""
        if self.is_barred:
            return "none"
        counts = {"hide": self.num_hidden or None, "boost": num_boosts or None}
        if self.pins:
            counts["pin"] = self.num_pinned
        shown = [f"{name}:{count}" for name, count in counts.items() if count is not None]
        shown += ["pin:off"] if self.pins and self.num_pinned is None else []
        return ",".join([*shown, f"document:{self.problem}"] if self.problem else shown)

    def hide_in(self, request: SearchRequest) -> SearchRequest:
        """Return a search that does not find what is hidden."""
        if not self.hidden:
            return request
        clauses = [each.as_clause() for each in self.hidden]
        moved = move_q(request)
        query = moved.body.get("query", _EVERYTHING)
        if is_apart(query):
            return exclude_after(moved, clauses)
        wrapped = {"bool": {"must": [query], "must_not": clauses}}
        return moved.with_body({**moved.body, "query": Raw(msgspec.json.encode(wrapped))})


NO_EFFECTS = RuleEffects()
"""No rule applies."""


def exclude_after(request: SearchRequest, clauses: Sequence[Mapping[str, Any]]) -> SearchRequest:
    """Return a search without the hits that the clauses find, by `post_filter`: facets still count them."""
    own = request.body.get("post_filter", Raw(b"null"))
    kept = {} if bytes(own).strip() == b"null" else {"filter": [own]}
    both = {"bool": {**kept, "must_not": list(clauses)}}
    return request.with_body({**request.body, "post_filter": Raw(msgspec.json.encode(both))})


def move_q(request: SearchRequest) -> SearchRequest:
    """Return a search whose `q` is in its body, where it wins over a query as it does in the URL."""
    if "q" not in request.parameters:
        return request
    given = request.parameters
    options = {name: given[key] for key, name in _OPTIONS_OF_Q.items() if key in given}
    query = {"query_string": {"query": given["q"], **options}}
    others = {name: value for name, value in given.items() if name not in OF_THE_QUERY_STRING}
    body = {**request.body, "query": Raw(msgspec.json.encode(query))}
    return SearchRequest(request.path, others, body)


def is_apart(query: Raw) -> bool:
    """Whether a query must stay where it is, outside any `bool`."""
    try:
        found = msgspec.json.decode(query, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):  # OpenSearch says what it thinks of it
        return False
    return bool(APART & found.keys())
