"""The text that a query asks for, found in the query DSL.

One small function a query type; a type that is not here contributes nothing and is never an error.
"""

from collections.abc import Callable, Iterator
from typing import Any

Query = dict[str, Any]
MAX_DEPTH = 100
"""OpenSearch's own limit is lower (indices.query.query_string.max_nested_depth and the parser's stack)."""


def query_text(query: Any) -> str | None:  # noqa: ANN401  # whatever JSON the client sent
    """Return the texts of a query, each once, in order, joined by a space; None where there is none."""
    texts = dict.fromkeys(text.strip() for text in _texts(query, 0))
    return " ".join(text for text in texts if text) or None


def _texts(query: Any, depth: int) -> Iterator[str]:  # noqa: ANN401
    if not isinstance(query, dict) or len(query) != 1 or depth > MAX_DEPTH:
        return
    ((name, body),) = query.items()
    visit = _VISITORS.get(name)
    if visit is not None and isinstance(body, dict):
        yield from visit(body, depth)


def _match(body: Query, _depth: int) -> Iterator[str]:
    """`{"FIELD": "text"}` or `{"FIELD": {"query": "text", ...}}`."""
    for value in body.values():
        text = value.get("query") if isinstance(value, dict) else value
        if isinstance(text, str):
            yield text


def _multi_match(body: Query, _depth: int) -> Iterator[str]:
    text = body.get("query")
    if isinstance(text, str):
        yield text


def _bool(body: Query, depth: int) -> Iterator[str]:
    """Clauses that score: a filter narrows, a must_not excludes, neither says what is looked for."""
    for clause in ("must", "should"):
        queries = body.get(clause, ())
        for query in queries if isinstance(queries, list) else (queries,):
            yield from _texts(query, depth + 1)


_VISITORS: dict[str, Callable[[Query, int], Iterator[str]]] = {
    "match": _match,
    "multi_match": _multi_match,
    "bool": _bool,
}
