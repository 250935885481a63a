"""Which of OpenSearch's APIs a request calls, by its method and raw path, and whether it may change an index.

Only the APIs that a proxy must know are told apart; every other one is None.
"""

from dataclasses import dataclass
from enum import Enum


class Api(Enum):
    """What a request asks of OpenSearch."""

    SEARCH = "search"
    MULTI_SEARCH = "msearch"
    SEARCH_TEMPLATE = "search_template"
    MULTI_SEARCH_TEMPLATE = "msearch_template"
    SCROLL = "scroll"
    GET = "get"
    SOURCE = "source"
    MULTI_GET = "mget"
    EXPLAIN = "explain"
    INDEX = "index"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    BULK = "bulk"


@dataclass(frozen=True)
class Endpoint:
    """An API and what the path says to it, each as it was written, percent-encoding included.

    `indices` is the index part, empty if the path names none; `id` is the document's, or None.
    """

    api: Api
    indices: str = ""
    id: str | None = None


_READS, _WRITES, _BOTH = frozenset({"GET", "HEAD"}), frozenset({"POST", "PUT"}), frozenset({"GET", "POST"})

_AT_ONCE: dict[tuple[str, ...], tuple[frozenset[str], Api]] = {
    ("_search",): (_BOTH, Api.SEARCH),
    ("_msearch",): (_BOTH, Api.MULTI_SEARCH),
    ("_search", "template"): (_BOTH, Api.SEARCH_TEMPLATE),
    ("_msearch", "template"): (_BOTH, Api.MULTI_SEARCH_TEMPLATE),
    ("_mget",): (_BOTH, Api.MULTI_GET),
    ("_bulk",): (_WRITES, Api.BULK),
}
"""Paths that may follow an index part or come without one."""

_OF_A_DOCUMENT: dict[str, list[tuple[frozenset[str], Api]]] = {
    "_doc": [(_READS, Api.GET), (_WRITES, Api.INDEX), (frozenset({"DELETE"}), Api.DELETE)],
    "_source": [(_READS, Api.SOURCE)],
    "_create": [(_WRITES, Api.CREATE)],
    "_update": [(frozenset({"POST"}), Api.UPDATE)],
    "_explain": [(_BOTH, Api.EXPLAIN)],
}
"""Path segments between an index and a document's id."""


def find_endpoint(method: str, path: str) -> Endpoint | None:
    """Return the API that a request calls, None if it is none of these; `path` is raw and has no query.

    Empty segments are ignored: `//articles/_search/` counts as `/articles/_search`. OpenSearch answers such a
    path itself.
    """
    parts = tuple(part for part in path.split("/") if part)
    if parts[:2] == ("_search", "scroll") and len(parts) <= 3 and method in _BOTH:
        return Endpoint(Api.SCROLL)
    return _find_alone(method, parts) or _find_of_document(method, parts)


def _find_alone(method: str, parts: tuple[str, ...]) -> Endpoint | None:
    """`/API` and `/INDICES/API`."""
    for indices, rest in (("", parts), (parts[0] if parts else "", parts[1:])):
        methods, api = _AT_ONCE.get(rest, (frozenset(), None))
        if api is not None and method in methods:
            return Endpoint(api, indices)
    return None


def _find_of_document(method: str, parts: tuple[str, ...]) -> Endpoint | None:
    """`/INDEX/API/ID`, and `/INDEX/_doc` without an id, which OpenSearch makes up."""
    if len(parts) == 2 and parts[1] == "_doc" and method == "POST":
        return Endpoint(Api.INDEX, parts[0])
    if len(parts) != 3:
        return None
    indices, name, id_ = parts
    for methods, api in _OF_A_DOCUMENT.get(name, []):
        if method in methods:
            return Endpoint(api, indices, id_)
    return None


_CHANGING = frozenset({"PUT", "POST", "DELETE"})
_SEGMENTS = frozenset({
    "_mapping", "_mappings", "_settings", "_alias", "_aliases", "_rollover", "_data_stream", "_open",
    "_close", "_shrink", "_split", "_clone", "_restore",
})  # fmt: skip


def changes_indices(method: str, path: str) -> bool:
    """Return whether a request may change what is followed of indices, by its method and raw path.

    Such are mappings, aliases, creation and deletion, and search pipelines.
    """
    if method not in _CHANGING:
        return False
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["_search", "pipeline"]:
        return True
    is_whole_index = len(parts) == 1 and not parts[0].startswith("_") and method != "POST"
    return is_whole_index or not _SEGMENTS.isdisjoint(parts)
