"""Values that a test keeps, and paths into answers."""

import base64
import re
from typing import Any

Stash = dict[str, Any]


def resolved(value: Any, stash: Stash) -> Any:  # noqa: ANN401  # any YAML value
    """Return a value with `$name` and `${name}` replaced, at any depth."""
    if isinstance(value, dict):
        return {resolved(key, stash): resolved(each, stash) for key, each in value.items()}
    if isinstance(value, list):
        return [resolved(each, stash) for each in value]
    if not isinstance(value, str):
        return value
    if value.startswith("$") and (name := value[1:].strip("{}")) in stash:
        return stash[name]
    return re.sub(r"\$\{(\w+)\}", lambda found: str(stash.get(found[1], found[0])), value)


def at_path(body: Any, path: str, stash: Stash) -> Any:  # noqa: ANN401  # any JSON value
    """Return what stands at a dotted path, or None; an empty path and `$body` are the whole."""
    if path.startswith("$body"):
        path = path.removeprefix("$body").removeprefix(".")
    elif path.startswith("$") and "." not in path:
        return stash.get(path[1:])
    for part in re.split(r"(?<!\\)\.", path) if path else ():
        body = _member(body, str(resolved(part.replace("\\.", "."), stash)))
    return body


def _member(body: Any, key: str) -> Any:  # noqa: ANN401
    if isinstance(body, dict):
        return next(iter(body), None) if key == "_arbitrary_key_" else body.get(key)
    if isinstance(body, list) and key.isdigit() and int(key) < len(body):
        return body[int(key)]
    return None


def transformed(expression: str, body: Any, stash: Stash) -> str:  # noqa: ANN401
    """Return `#base64EncodeCredentials(user,password)` of the values at two paths."""
    found = re.fullmatch(r"#base64EncodeCredentials\(([^,]+),([^)]+)\)", expression)
    if not found:
        raise ValueError(f"expected #base64EncodeCredentials(user,password), found {expression}")
    joined = ":".join(str(at_path(body, path.strip(), stash)) for path in found.groups())
    return base64.b64encode(joined.encode()).decode()
