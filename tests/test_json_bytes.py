"""Cutting one member leaves every other byte as it was."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.json_bytes import object_members, without_member

PATH = ("rerank", "vector")
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text().filter(lambda key: key != "rerank"), VALUES)
INDENTS = st.sampled_from([None, 0, 2])


def test_member_between_others_goes_with_one_comma() -> None:
    assert without_member(b'{"a":1.10,"rerank":{"vector":"QQ=="},"b":2}', PATH) == (
        b'{"a":1.10,"b":2}',
        b'"QQ=="',
    )


def test_parent_with_other_members_stays() -> None:
    data = b'{"rerank":{"mine":[1,{}],"vector":"QQ=="},"b":2}'
    assert without_member(data, PATH) == (b'{"rerank":{"mine":[1,{}]},"b":2}', b'"QQ=="')


def test_text_that_looks_like_the_member_is_no_member() -> None:
    data = rb'{"a":",\"rerank\":{\"vector\":\"QQ==\"}}","b":{"rerank":{"vector":"QQ=="}}}'
    assert without_member(data, PATH) == (data, None)


def test_escaped_spelling_of_the_key_is_found() -> None:
    assert without_member(rb'{"\u0072erank":{"vector":null},"b":2}', PATH) == (b'{"b":2}', b"null")


def test_parent_that_is_no_object_is_left_alone() -> None:
    assert without_member(b'{"rerank":"mine"}', PATH) == (b'{"rerank":"mine"}', None)


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        without_member(b"[1]", PATH)


@given(DOCUMENTS, INDENTS, st.booleans(), st.data())
def test_cutting_what_was_put_in_gives_the_bytes_of_the_rest(
    document: dict[str, object], indent: int | None, ascii_only: bool, data: st.DataObject
) -> None:
    items = list(document.items())
    place = data.draw(st.integers(0, len(items)))
    widened = dict([*items[:place], ("rerank", {"vector": "QUJD"}), *items[place:]])
    cut, found = without_member(json.dumps(widened, indent=indent, ensure_ascii=ascii_only).encode(), PATH)
    assert found == b'"QUJD"'
    assert json.loads(cut) == document
    if indent is None:
        assert cut == json.dumps(document, ensure_ascii=ascii_only).encode()


@given(DOCUMENTS, INDENTS)
def test_members_stand_where_they_are_said_to(document: dict[str, object], indent: int | None) -> None:
    data = json.dumps(document, indent=indent).encode()
    found = {member.key: json.loads(data[member.value_start : member.end]) for member in object_members(data)}
    assert found == document
