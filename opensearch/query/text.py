"""Find the text that a query asks for in the query DSL (docs/reference/query-text.md).

One small function a query type; a type that is not here contributes nothing and is never an error.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from opensearch.query.query_string import (
    MAX_CHARS,
    MAX_SYNTAX_CHARS,
    read_plain_words,
    read_query_string,
    read_simple_query_string,
)
from opensearch.query.wildcard import read_regexp, read_wildcard

Query = dict[str, Any]
MAX_DEPTH = 100
"""OpenSearch's own limit is lower (indices.query.query_string.max_nested_depth and the parser's stack)."""

_NOT_FLAG = 2
"""`NOT` among the flags of a `simple_query_string` that are given as a number."""


@dataclass(slots=True)
class _Visit:
    """One query's visit: how deep it is, and how many characters of query strings it has read.

    `words_of_patterns` are the words in patterns such as `*words*`: the text of a query that has no other.
    """

    depth: int = 0
    chars_read: int = 0
    words_of_patterns: list[str] = field(default_factory=list)

    def take(self, text: str) -> str:
        """Return what is still read of a query string: a search has MAX_CHARS for all it holds."""
        text = text[: MAX_CHARS - self.chars_read]
        self.chars_read += len(text)
        return text

    def take_patterns(self, patterns: Iterable[object], words_of: Callable[[str], str]) -> None:
        """Read the words of patterns, within the same limit; one that it cuts off has none."""
        texts = (each for each in patterns if isinstance(each, str))
        self.words_of_patterns += [words_of(self.take(text)) for text in texts]


Visitor = Callable[[Query, _Visit], Iterator[str]]


def find_query_text(query: Any) -> str | None:  # noqa: ANN401  # whatever JSON the client sent
    """Return the texts of a query, joined by a space; None if there is none."""
    return " ".join(find_query_texts(query)) or None


def find_query_texts(query: Any) -> list[str]:  # noqa: ANN401
    """Return the texts of a query's clauses, each once, in order, trimmed and none empty."""
    visit = _Visit()
    return _distinct(_read_texts(query, visit)) or _distinct(visit.words_of_patterns)


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(filter(None, dict.fromkeys(text.strip() for text in texts)))


def _read_texts(query: Any, visit: _Visit) -> Iterator[str]:  # noqa: ANN401
    if not isinstance(query, dict) or len(query) != 1 or visit.depth > MAX_DEPTH:
        return
    ((name, body),) = query.items()
    visitor = VISITORS.get(name)
    if visitor is not None and isinstance(body, dict):
        visit.depth += 1
        yield from visitor(body, visit)
        visit.depth -= 1


def _match(body: Query, _visit: _Visit) -> Iterator[str]:
    """`{"FIELD": "text"}` or `{"FIELD": {"query": "text", ...}}`."""
    for value in body.values():
        text = value.get("query") if isinstance(value, dict) else value
        if isinstance(text, str):
            yield text


def _multi_match(body: Query, _visit: _Visit) -> Iterator[str]:
    """`{"query": "text", "fields": [...]}`."""
    text = body.get("query")
    if isinstance(text, str):
        yield text


def _query_string(body: Query, visit: _Visit) -> Iterator[str]:
    for text in map(visit.take, _multi_match(body, visit)):
        yield read_query_string(text) if visit.chars_read <= MAX_SYNTAX_CHARS else read_plain_words(text)


def _simple_query_string(body: Query, visit: _Visit) -> Iterator[str]:
    for text in map(visit.take, _multi_match(body, visit)):
        yield read_simple_query_string(text, has_not=_has_not(body.get("flags")))


def _has_not(flags: Any) -> bool:  # noqa: ANN401
    """Whether `-` negates: `flags` is a number, or names such as `OR|NOT`; without them all is on."""
    if isinstance(flags, int):
        return bool(flags & _NOT_FLAG)  # -1 is all of them
    if not isinstance(flags, str) or not flags:
        return True
    return not {"ALL", "NOT"}.isdisjoint(flags.upper().split("|"))


def _more_like_this(body: Query, _visit: _Visit) -> Iterator[str]:
    """`like`: a text or several; documents among them, and `unlike`, are no typed text."""
    like = body.get("like")
    for text in like if isinstance(like, list) else (like,):
        if isinstance(text, str):
            yield text


def _neural(body: Query, _visit: _Visit) -> Iterator[str]:
    """`{"FIELD": {"query_text": "text", ...}}`."""
    for value in body.values():
        text = value.get("query_text") if isinstance(value, dict) else None
        if isinstance(text, str):
            yield text


def _agentic(body: Query, visit: _Visit) -> Iterator[str]:
    """`{"query_text": "a question", ...}`."""
    return _neural({"": body}, visit)


def _visit_pattern(words_of: Callable[[str], str], *members: str) -> Visitor:
    """Return a visitor of `{"FIELD": "a pattern"}` or `{"FIELD": {"value": "a pattern", ...}}`."""

    def visitor(body: Query, visit: _Visit) -> Iterator[str]:
        for name, value in body.items():
            patterns = [value.get(member) for member in members] if isinstance(value, dict) else [value]
            if not name.startswith("_"):  # a metadata field: `_index` and the like
                visit.take_patterns(patterns, words_of)
        yield from ()

    return visitor


def _intervals(body: Query, visit: _Visit) -> Iterator[str]:
    """`{"FIELD": RULE}`."""
    for rule in body.values():
        yield from _read_rule(rule, visit, visit.depth)


def _read_rule(rule: Any, visit: _Visit, depth: int) -> Iterator[str]:  # noqa: ANN401
    """Yield a rule's own words; its `filter` restricts only their positions."""
    if not isinstance(rule, dict) or depth > MAX_DEPTH:
        return
    for name, body in rule.items():
        if name in _RULE_TEXT and isinstance(body, dict) and isinstance(body.get(_RULE_TEXT[name]), str):
            yield body[_RULE_TEXT[name]]
        elif name in _RULE_PATTERN and isinstance(body, dict):
            visit.take_patterns([body.get("pattern")], _RULE_PATTERN[name])
        elif name in ("all_of", "any_of") and isinstance(body, dict):
            rules = body.get("intervals")
            for inner in rules if isinstance(rules, list) else ():
                yield from _read_rule(inner, visit, depth + 1)


_RULE_TEXT = {"match": "query", "prefix": "prefix", "fuzzy": "term"}
_RULE_PATTERN = {"wildcard": read_wildcard, "regexp": read_regexp}


def _visit_members(*members: str) -> Visitor:
    """Return a visitor of a query that holds others, one or a list, in these members."""

    def visitor(body: Query, visit: _Visit) -> Iterator[str]:
        for member in members:
            queries = body.get(member, ())
            for query in queries if isinstance(queries, list) else (queries,):
                yield from _read_texts(query, visit)

    return visitor


def _wrapper(body: Query, visit: _Visit) -> Iterator[str]:
    """`{"query": BASE64}` of a query in JSON."""
    try:
        query = msgspec.json.decode(base64.b64decode(body.get("query", ""), validate=True))
    except (TypeError, ValueError, msgspec.DecodeError, RecursionError):
        return
    yield from _read_texts(query, visit)


VISITORS: dict[str, Visitor] = {
    "match": _match,
    "match_phrase": _match,
    "match_phrase_prefix": _match,
    "match_bool_prefix": _match,
    "common": _match,
    "multi_match": _multi_match,
    "combined_fields": _multi_match,
    "query_string": _query_string,
    "simple_query_string": _simple_query_string,
    "wildcard": _visit_pattern(read_wildcard, "value", "wildcard"),
    "regexp": _visit_pattern(read_regexp, "value"),
    "intervals": _intervals,
    "more_like_this": _more_like_this,
    "neural": _neural,
    "neural_sparse": _neural,
    "agentic": _agentic,
    "bool": _visit_members("must", "should"),  # filter narrows, must_not excludes
    "dis_max": _visit_members("queries"),
    "hybrid": _visit_members("queries"),
    "boosting": _visit_members("positive"),
    "function_score": _visit_members("query"),
    "script_score": _visit_members("query"),
    "nested": _visit_members("query"),
    "has_child": _visit_members("query"),
    "has_parent": _visit_members("query"),
    "constant_score": _visit_members("filter"),  # the one filter that is the query itself
    "wrapper": _wrapper,
}
"""Each query type that has a text to search for, and its reader."""
