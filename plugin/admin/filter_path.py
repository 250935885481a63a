"""`filter_path` as in OpenSearch: which parts of a JSON answer the client wants."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

_NOTHING = object()


def apply_filter_path(value: Any, filter_path: str) -> Any:  # noqa: ANN401  # any JSON
    """Return the parts that the comma-separated paths keep, else {}: `a.b`, `*.b`, `**.c`; `-a.b` removes."""
    paths = [_parse_path(path.strip()) for path in filter_path.split(",") if path.strip()]
    wanted = [path for path in paths if not path[0].startswith("-")]
    unwanted = [(path[0][1:], *path[1:]) for path in paths if path[0].startswith("-")]
    kept = _keep(value, wanted) if wanted else value
    left = kept if kept is _NOTHING else _drop(kept, unwanted)
    return {} if left is _NOTHING else left


def _parse_path(path: str) -> tuple[str, ...]:
    """Return the parts of a path; `**.**` means the same as `**`."""
    parts = path.split(".")
    return tuple(
        part for part, before in zip(parts, ["", *parts], strict=False) if (part, before) != ("**", "**")
    )


def _keep(value: Any, paths: Sequence[tuple[str, ...]]) -> Any:  # noqa: ANN401
    if any(path in ((), ("**",)) for path in paths):
        return value
    if isinstance(value, list):
        items = [kept for item in value if (kept := _keep(item, paths)) is not _NOTHING]
        return items or _NOTHING
    if not isinstance(value, dict):
        return _NOTHING
    members = {key: _keep(inner, _descend(key, paths)) for key, inner in value.items()}
    return {key: inner for key, inner in members.items() if inner is not _NOTHING} or _NOTHING


def _drop(value: Any, paths: Sequence[tuple[str, ...]]) -> Any:  # noqa: ANN401
    if any(path == () for path in paths):
        return _NOTHING
    if not paths:
        return value
    if isinstance(value, list):
        return [left for item in value if (left := _drop(item, paths)) is not _NOTHING] or _NOTHING
    if not isinstance(value, dict):
        return value
    members = {key: _drop(inner, _descend(key, paths)) for key, inner in value.items()}
    return {key: inner for key, inner in members.items() if inner is not _NOTHING} or _NOTHING


def _descend(key: str, paths: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rest of the paths below a member; `**` matches any number of members, also none."""
    below: list[tuple[str, ...]] = []
    for path in paths:
        if not path:
            continue
        if path[0] == "**":
            below.append(path)
            if len(path) > 1:
                below += _descend(key, [path[1:]])
        elif fnmatchcase(key, path[0]):
            below.append(path[1:])
    return list(dict.fromkeys(below))  # `**.a.**.a` reaches the same place in several ways
