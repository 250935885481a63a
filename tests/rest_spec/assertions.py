"""What a test says of an answer: `match`, `length`, `gt`, ... Each returns whether it holds."""

import re
from collections.abc import Callable
from typing import Any

from tests.rest_spec.stash import Stash, at_path, resolved

Value = Any


def holds(kind: str, said: Value, body: Value, stash: Stash) -> bool:
    """Return whether an assertion of this kind holds of an answer's body.

    Raises:
        KeyError: no such kind.
    """
    if kind in ("is_true", "is_false"):
        return _is_true(at_path(body, str(said), stash)) == (kind == "is_true")
    ((path, expected),) = said.items()
    found = at_path(body, str(path), stash)
    return ASSERTIONS[kind](found, resolved(expected, stash))


def _is_true(value: Value) -> bool:
    return value is not None and str(value).lower() not in ("", "false", "0")


def _matches(found: Value, expected: Value) -> bool:
    if isinstance(expected, str) and len(text := expected.strip()) > 1 and text[0] == text[-1] == "/":
        return re.search(_python_pattern(text[1:-1]), str(found), re.VERBOSE) is not None
    if isinstance(found, int | float) and isinstance(expected, int | float):
        return float(found) == float(expected)
    return bool(found == expected)


def _python_pattern(pattern: str) -> str:
    """Return one of Java's patterns in Python's spelling."""
    return re.sub(r"\(\?<(?![=!])", "(?P<", pattern.replace("\\/", "/"))


def _length(found: Value, expected: Value) -> bool:
    return isinstance(found, str | list | dict) and len(found) == int(expected)


def _contains(found: Value, expected: Value) -> bool:
    if isinstance(expected, dict) and isinstance(found, list):
        return any(isinstance(each, dict) and expected.items() <= each.items() for each in found)
    return isinstance(found, str | list) and expected in found


def _close_to(found: Value, expected: Value) -> bool:
    return isinstance(found, int | float) and abs(found - expected["value"]) <= expected["error"]


def _compared(compare: Callable[[float, float], bool]) -> Callable[[Value, Value], bool]:
    return lambda found, expected: (
        isinstance(found, int | float | str) and found != "" and compare(float(found), float(expected))
    )


ASSERTIONS: dict[str, Callable[[Value, Value], bool]] = {
    "match": _matches,
    "length": _length,
    "contains": _contains,
    "close_to": _close_to,
    "gt": _compared(lambda a, b: a > b),
    "gte": _compared(lambda a, b: a >= b),
    "lt": _compared(lambda a, b: a < b),
    "lte": _compared(lambda a, b: a <= b),
}
