"""Answers put together here are spaced as OpenSearch spaces them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from opensearch.rawjson.style import Compact, Pretty, Style, detect_style

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="ascii", min_codepoint=32)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=10,
)


def written(style: Style, value: Any, depth: int = 0) -> Raw:  # noqa: ANN401
    if isinstance(value, dict):
        return style.object({k: written(style, v, depth + 1) for k, v in value.items()}, depth)
    if isinstance(value, list):
        return style.array([written(style, v, depth + 1) for v in value], depth)
    return Raw(json.dumps(value).encode())


@given(VALUES)
def test_compact_has_no_spaces(value: object) -> None:
    assert bytes(written(Compact(), value)).decode() == json.dumps(value, separators=(",", ":"))


def as_jackson(value: Any, depth: int = 0) -> str:  # noqa: ANN401
    """Write as OpenSearch's pretty printer does, with a space in an empty object."""
    inner, outer = "\n" + "  " * (depth + 1), "\n" + "  " * depth
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)} : {as_jackson(each, depth + 1)}" for key, each in value.items()]
        return "{" + inner + f",{inner}".join(parts) + outer + "}" if parts else "{ }"
    if isinstance(value, list):
        parts = [as_jackson(each, depth + 1) for each in value]
        return "[" + inner + f",{inner}".join(parts) + outer + "]" if parts else "[ ]"
    return json.dumps(value)


@given(VALUES)
def test_pretty_is_as_jackson_writes_it(value: object) -> None:
    assert bytes(written(Pretty(), value)).decode() == as_jackson(value)


@pytest.mark.parametrize(("body", "wanted"), [
    (b'{"took":1}', '{"_source":{}}'),
    (b'{\n  "_source":{"a":1}\n}\n', '{\n  "_source":{}\n}'),
    (b'{\n  "_source" : {\n    "a" : 1\n  }\n}\n', '{\n  "_source" : {}\n}'),
    (b'{\n  "_source":{"x":"\\"_source\\" : "}\n}\n', '{\n  "_source":{}\n}'),
    (b"{ }\n", '{\n  "_source":{}\n}'),
])  # fmt: skip
def test_a_source_is_spaced_as_in_the_answer_that_was_read(body: bytes, wanted: str) -> None:
    style = detect_style(body)
    assert bytes(style.object({"_source": Raw(b"{}")}, 0)).decode() == wanted
    assert style.end == (b"\n" if "\n" in wanted else b"")
