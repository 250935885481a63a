"""Which requests may change what an index's settings are: mappings, aliases, creation and deletion."""

_CHANGING = frozenset({"PUT", "POST", "DELETE"})
_SEGMENTS = frozenset({
    "_mapping", "_mappings", "_settings", "_alias", "_aliases", "_rollover", "_data_stream", "_open",
    "_close", "_shrink", "_split", "_clone", "_restore",
})  # fmt: skip


def changes_indices(method: str, path: str) -> bool:
    """Return whether a request with this method and raw path may do so, by what it asks for."""
    if method not in _CHANGING:
        return False
    parts = [part for part in path.split("/") if part]
    is_whole_index = len(parts) == 1 and not parts[0].startswith("_") and method != "POST"
    return is_whole_index or not _SEGMENTS.isdisjoint(parts)
