"""Widen a client's `filter_path` by what reranking needs, and remove that from the response again.

OpenSearch itself applies the filter.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec
from msgspec import Raw

from opensearch.rawjson.style import Style

Path = tuple[str, ...]
Object = dict[str, Raw]

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_HITS: Path = ("hits", "hits")
_DEPTH_OF_A_HIT = 3
_NOTHING = "-twinrank.nothing"
"""Filters nothing: OpenSearch spaces and spells a filtered response differently."""
_DOT = re.compile(r"(?<!\\)\.")


@dataclass(frozen=True)
class FilterPath:
    """A widened filter: OpenSearch gets `parameter`, and `hidden` is removed from its response again.

    Paths in `hidden` begin at the response's top; those below `hits.hits` apply to every hit.
    """

    parameter: str
    hidden: tuple[Path, ...]

    def top(self, answer: Object, style: Style) -> Object:
        """Return the response's top level without the hidden members."""
        return _remove_paths(answer, [path for path in self.hidden if path[:2] != _HITS], style, 0)

    def hit(self, hit: Object, style: Style) -> Object:
        """Return one hit without the hidden members; OpenSearch shows no hit that is empty then."""
        return _remove_paths(
            hit, [path[2:] for path in self.hidden if path[:2] == _HITS], style, _DEPTH_OF_A_HIT
        )


def widen(parameter: str, needed: Sequence[Path]) -> FilterPath | None:
    """Return a filter that shows the needed paths too; None if it shows no hit, or if that is impossible."""
    patterns = [part.strip() for part in parameter.split(",") if part.strip()]
    includes = [_parse(part) for part in patterns if not part.startswith("-")]
    excludes = {part: _parse(part[1:]) for part in patterns if part.startswith("-")}
    if includes and not any(_leads_to(pattern, _HITS) for pattern in includes):
        return None
    if any(_covers(pattern, _HITS) for pattern in excludes.values()):
        return None
    in_the_way = {
        part: pattern for part, pattern in excludes.items() if any(_covers(pattern, path) for path in needed)
    }
    if any("*" in part for part in in_the_way):
        return None  # it excludes more than could be removed afterwards
    added = [path for path in needed if includes and not any(_covers(pattern, path) for pattern in includes)]
    kept = [part for part in patterns if part not in in_the_way]
    asked = [*kept, *map(_join_path, added)] or [_NOTHING if patterns else ""]
    return FilterPath(",".join(asked), (*added, *in_the_way.values()))


def shows(parameter: str, path: Path) -> bool:
    """Return whether a client's filter, empty if it has none, shows a member of the response."""
    patterns = [part for part in parameter.split(",") if part]
    includes = [_parse(part) for part in patterns if not part.startswith("-")]
    excludes = [_parse(part[1:]) for part in patterns if part.startswith("-")]
    is_included = not includes or any(_covers(pattern, path) for pattern in includes)
    return is_included and not any(_covers(pattern, path) for pattern in excludes)


def _remove_paths(answer: Object, paths: Sequence[Path], style: Style, depth: int) -> Object:
    for path in paths:
        answer = _remove_path(answer, path, style, depth)
    return answer


def _remove_path(answer: Object, path: Path, style: Style, depth: int) -> Object:
    """Return the object without one path, and without an object that is empty then."""
    name, deeper = path[0], path[1:]
    if name not in answer:
        return answer
    rest = _remove_path(_OBJECT.decode(answer[name]), deeper, style, depth + 1) if deeper else {}
    if rest:
        return {**answer, name: style.object(rest, depth + 1)}
    return {key: raw for key, raw in answer.items() if key != name}


def _parse(pattern: str) -> Path:
    return tuple(part.replace("\\.", ".") for part in _DOT.split(pattern))


def _join_path(path: Path) -> str:
    return ".".join(name.replace(".", "\\.") for name in path)


def _covers(pattern: Path, path: Path) -> bool:
    """Return whether the pattern selects `path` or an object around it."""
    reached = {0}  # how much of the path the pattern may have used up; all possibilities at once
    for part in pattern:
        if part == "**":
            reached = set(range(min(reached), len(path) + 1))
        else:
            wanted = _escape_literal(part)
            reached = {at + 1 for at in reached if at < len(path) and fnmatchcase(path[at], wanted)}
        if not reached:
            return False
    return True


def _leads_to(pattern: Path, path: Path) -> bool:
    """Return whether the pattern selects `path`, an object around it, or a member inside it."""
    if not pattern or not path or pattern[0] == "**":
        return True
    return fnmatchcase(path[0], _escape_literal(pattern[0])) and _leads_to(pattern[1:], path[1:])


def _escape_literal(part: str) -> str:
    """Only `*` is special to OpenSearch."""
    return part.replace("[", "[[]").replace("?", "[?]")
