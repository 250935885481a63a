"""The rules that apply to one search: found by its text and the time, for each of its indices."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence

import msgspec
import numpy as np
from cachetools import LRUCache
from xxhash import xxh3_128_digest

from opensearch.fields.doc_values import read_texts
from opensearch.fields.vector_field import Hit
from opensearch.query.text import find_query_texts
from opensearch.rawjson.validation import InvalidError
from opensearch.search.ext import RerankControls, take_controls
from opensearch.search.plan import Plan
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.rules import NO_EFFECTS, HiddenDocuments, RuleBoost, RuleEffects, RulePin
from opensearch.settings.rules import RuleSettings, read_moment
from opensearch.settings.skip import Skip
from opensearch.settings.target import Target
from reranker.arrays import Booleans, Floats64
from reranker.exact import normalise
from reranker.rerank import Ranking
from reranker.rules import QueryTable, TextCondition, apply_boosts, is_identifier

MAX_BOOKS = 256
"""Lists of rules that are kept ready."""


class RuleBook:
    """The rules of one index, ready to be looked up."""

    def __init__(self, rules: Sequence[RuleSettings]) -> None:
        self._rules = rules
        self._table = QueryTable([_read_condition(each) for each in rules])
        self._times = [(_read_moment(each.when.from_), _read_moment(each.when.until)) for each in rules]

    def find(self, text: str, now_ms: float) -> list[tuple[int, RuleSettings]]:
        """Return the rules that apply, in their order, with their places; `text` is a normalised one."""
        found = [(number, self._rules[number]) for number in self._table.find(text)]
        return [each for each in found if self._applies(*each, text, now_ms)]

    def _applies(self, number: int, rule: RuleSettings, text: str, now_ms: float) -> bool:
        first_ms, end_ms = self._times[number]
        if (first_ms is not None and now_ms < first_ms) or (end_ms is not None and now_ms >= end_ms):
            return False
        wanted = rule.when.identifier
        return wanted is None or (bool(text) and is_identifier(text) == wanted)


class RuleBooks:
    """Keeps the books of lists of rules.

    A list is found by its identity, since comparing it is dear; one that was read again by its content.
    """

    def __init__(self) -> None:
        self._known: LRUCache[int, tuple[Sequence[RuleSettings], RuleBook]] = LRUCache(MAX_BOOKS)
        self._books: LRUCache[bytes, RuleBook] = LRUCache(MAX_BOOKS)
        self._lock = threading.Lock()

    def find(self, rules: Sequence[RuleSettings]) -> RuleBook:
        """Return the book of these rules, made when it is first asked for."""
        with self._lock:
            known = self._known.get(id(rules))
        if known is not None:
            return known[1]
        content = xxh3_128_digest(msgspec.msgpack.encode(rules))
        with self._lock:
            book = self._books.get(content)
        book = book or RuleBook(rules)
        with self._lock:
            self._books[content] = book
            self._known[id(rules)] = rules, book  # while the rules are kept, no others have their id
        return book


_BOOKS = RuleBooks()


def find_effects(search: SearchRequest | Skip, target: Target, now_s: float | None = None) -> RuleEffects:
    """Return what the rules of a search's indices do to it.

    Args:
        search: the client's, with its `ext.rerank`; or why it cannot be read.
        target: what its indices say.
        now_s: the time, in seconds since 1970; None is the present.
    """
    if not target.rules and not target.rule_problem:
        return NO_EFFECTS
    if isinstance(search, Skip):
        return RuleEffects(is_barred=True)
    try:
        found = _find(search, target, (time.time() if now_s is None else now_s) * 1000)
        return RuleEffects(is_barred=True) if found != NO_EFFECTS and _is_barred(search) else found
    except (InvalidError, NotUnderstoodError, msgspec.DecodeError, RecursionError):
        return RuleEffects(is_barred=True)  # refused, or OpenSearch says what it thinks of it


def _find(search: SearchRequest, target: Target, now_ms: float) -> RuleEffects:
    controls, body = take_controls(dict(search.body)) if target.is_ours else (RerankControls(), search.body)
    if controls.rules is False:
        return NO_EFFECTS
    given = controls.query_text(dict(body))
    texts = [given] if given else find_query_texts(search.query)
    text = normalise(max(texts, key=len, default=""))
    hidden: dict[tuple[str, ...], list[str]] = defaultdict(list)
    books = {name: _BOOKS.find(rules) for name, rules in target.rules.items()}
    ids_of = {book: _list_hidden(book, text, now_ms) for book in dict.fromkeys(books.values())}
    for name, book in books.items():
        hidden[ids_of[book]].append(name)
    holding = _BOOKS.find(target.holding_rules).find(text, now_ms) if target.holding_rules else []
    return RuleEffects(
        tuple(HiddenDocuments(tuple(names), ids) for ids, names in hidden.items() if ids),
        tuple(
            RuleBoost(number, action, is_bury)
            for number, rule in holding
            for action, is_bury in ((rule.then.boost, False), (rule.then.bury, True))
            if action is not None
        ),
        reranks=all(rule.then.rerank for _, rule in holding),
        problem=target.rule_problem,
        pins=tuple(RulePin(each.id, each.position) for _, rule in holding for each in rule.then.pin),
    )


def _list_hidden(book: RuleBook, text: str, now_ms: float) -> tuple[str, ...]:
    """Return the ids that the rules of an index hide, each once."""
    return tuple(dict.fromkeys(each for _, rule in book.find(text, now_ms) for each in rule.then.hide))


def _is_barred(search: SearchRequest) -> bool:
    """Whether a search has its hits in an order of its own, or asks for something this version does not know.

    Scrolls, slices and `search_after` are of that kind.
    """
    return search.find_unknown_name() is not None or not search.sorts_by_score


def _read_condition(rule: RuleSettings) -> TextCondition | None:
    query = rule.when.query
    return None if query is None else TextCondition(*query.given[0])


def _read_moment(text: str | None) -> float | None:
    return None if text is None else read_moment(text)


def rank_by_rules(ranking: Ranking, plan: Plan, hits: Sequence[Hit]) -> Ranking:
    """Return a window's order with the boosts and buries of its plan, if any; `hits` are the window's."""
    if not plan.boosts or not hits:
        return ranking
    factors = (_find_log_factors(each, hits) for each in plan.boosts)
    return apply_boosts(ranking, factors, is_logarithm=plan.fusion.method in ("log_linear", "combiner"))


def _find_log_factors(boost: RuleBoost, hits: Sequence[Hit]) -> Floats64:
    """Return the logarithm of each hit's factor, (num_hits,) float64; a bury multiplies the other hits."""
    return np.where(_find_named(boost, hits) != boost.is_bury, boost.log_factor, 0.0)


def _find_named(boost: RuleBoost, hits: Sequence[Hit]) -> Booleans:
    """Return which hits a boost or a bury names: (num_hits,) bool."""
    if boost.field is None:
        ids = frozenset(boost.action.ids)
        return np.array([msgspec.json.decode(hit["_id"]) in ids for hit in hits], np.bool_)
    return np.array([boost.value in values for values in read_texts(hits, [boost.field])], np.bool_)
