"""Templates of the JSON that makes ml-commons call the proxy, with `${NAME}` placeholders to fill.

ml-commons has placeholders of its own, `${parameters.model}` and `${credential.key}`, filled when a model is
called. Twinrank's are in capitals, filled once.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

TEMPLATES = Path(__file__).parents[1] / "deploy" / "templates"

CONNECTORS = ("rerank", "embeddings", "rescore")
"""Each has a template `connector-NAME.json` and becomes a remote model."""

SEARCH_PIPELINES = ("rerank", "rescore")
INGEST_PIPELINES = ("embed",)

_PLACEHOLDER = re.compile(r"\$\{([A-Z][A-Z_]*)\}")


def read_template(name: str) -> Any:  # noqa: ANN401  # any JSON value
    """Return the template `name`.json, placeholders in it."""
    return msgspec.json.decode((TEMPLATES / f"{name}.json").read_bytes())


def fill(value: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  # any JSON value
    """Return a template with its placeholders filled.

    A string that is nothing but a placeholder becomes the value with its type; within a longer string, and
    in a key, it becomes the value's text.

    Raises:
        KeyError: a placeholder has no value.
    """
    if isinstance(value, dict):
        return {_fill_text(key, values): fill(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value)
    return values[whole[1]] if whole else _fill_text(value, values)


def find_placeholders(value: Any) -> set[str]:  # noqa: ANN401  # any JSON value
    """Return the names of all placeholders in a template."""
    return set(_PLACEHOLDER.findall(msgspec.json.encode(value).decode()))


def _fill_text(template_text: str, values: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda found: str(values[found[1]]), template_text)
