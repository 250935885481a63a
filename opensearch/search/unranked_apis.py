"""APIs that search and are not reranked: `Rerank-Status` names them, so that no result misleads."""

_BEHIND_INDICES = {
    ("_rank_eval",): "rank_eval",
    ("_rollup_search",): "rollup",
    ("_validate", "query"): "validate_query",
    ("_percolate",): "percolate",
    ("_mpercolate",): "percolate",
    ("_eql", "search"): "eql",
    ("_knn_search",): "knn_search",
    ("_async_search",): "asynchronous_search",
}
"""Path segments that may follow an index part or come alone, and the reason that is reported.

OpenSearch does not know all of them: clients of other servers send them too, and read its error.
"""

_PLUGINS = {
    ("_plugins", "_sql"): "sql",
    ("_plugins", "_ppl"): "sql",
    ("_plugins", "_async_query"): "sql",
    ("_sql",): "sql",
    ("_plugins", "_asynchronous_search"): "asynchronous_search",
    ("_plugins", "_search_relevance"): "search_relevance",
}
"""The first path segments of plugins that search, and the reason that is reported."""


def find_unranked_api(method: str, path: str) -> str | None:
    """Return why a request that searches is not reranked, None if it is no such request.

    `path` is raw and has no query. Scrolls, templates and `_msearch` have rules of their own.
    """
    parts = tuple(part for part in path.split("/") if part)
    if method not in ("GET", "POST") or not parts:
        return None
    for beginning, reason in _PLUGINS.items():
        if parts[: len(beginning)] == beginning:
            return reason
    return _BEHIND_INDICES.get(parts) or _BEHIND_INDICES.get(parts[1:])
