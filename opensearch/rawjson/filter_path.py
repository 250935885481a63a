"""`filter_path`: what the client wants of an answer, when more of it is needed for reordering the hits.

OpenSearch filters, as always; its filter is widened by what is read here, and that is taken out again.
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
"""Filters nothing: an answer that is filtered at all is spaced and spelt in its own way."""
_DOT = re.compile(r"(?<!\\)\.")


@dataclass(frozen=True)
class FilterPath:
    """A widened filter: `parameter` is asked of OpenSearch, `hidden` is cut from its answer again.

    Paths in `hidden` begin at the answer's top; those below `hits.hits` hold for every hit.
    """

    parameter: str
    hidden: tuple[Path, ...]

    def top(self, answer: Object, style: Style) -> Object:
        """Return the answer's top level without what is hidden there."""
        return _remove_paths(answer, [path for path in self.hidden if path[:2] != _HITS], style, 0)

    def hit(self, hit: Object, style: Style) -> Object:
        """Return one hit without what is hidden; it may be empty then, and OpenSearch shows no empty hit."""
        return _remove_paths(
            hit, [path[2:] for path in self.hidden if path[:2] == _HITS], style, _DEPTH_OF_A_HIT
        )


def widened(parameter: str, needed: Sequence[Path]) -> FilterPath | None:
    """Return a filter that shows the needed paths too; None where no hit is shown, or it cannot be done."""
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
        return None  # it excludes more than we could cut out ourselves
    added = [path for path in needed if includes and not any(_covers(pattern, path) for pattern in includes)]
    kept = [part for part in patterns if part not in in_the_way]
    asked = [*kept, *map(_join_path, added)] or [_NOTHING if patterns else ""]
    return FilterPath(",".join(asked), (*added, *in_the_way.values()))


def shows(parameter: str, path: Path) -> bool:
    """Whether a client's filter, empty where it has none, lets a member of the answer through."""
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
    """Return the object without one path; an object that is empty then goes with it."""
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
    """Whether the pattern selects `path`, or something that it lies in."""
    reached = {0}  # how much of the path the pattern may have used up; all ways at once, for there are many
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
    """Whether the pattern selects `path`, something that it lies in, or something in it."""
    if not pattern or not path or pattern[0] == "**":
        return True
    return fnmatchcase(path[0], _escape_literal(pattern[0])) and _leads_to(pattern[1:], path[1:])


def _escape_literal(part: str) -> str:
    """Only `*` is special to OpenSearch."""
    return part.replace("[", "[[]").replace("?", "[?]")
