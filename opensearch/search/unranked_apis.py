"""APIs that search and are not reranked: `Rerank-Status` names them, so that no result misleads."""

_BEHIND_INDICES = {"_rank_eval": "rank_eval", "_rollup_search": "rollup"}
"""Path segments that may follow an index part or come alone, and the reason that is reported."""

_PLUGINS = {
    ("_plugins", "_sql"): "sql",
    ("_plugins", "_ppl"): "sql",
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
    return _BEHIND_INDICES.get(parts[-1]) if len(parts) <= 2 else None
