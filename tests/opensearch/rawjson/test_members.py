"""Members of a JSON object by their place: cutting one leaves every other byte as it was."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.rawjson.members import JsonObjectError, read_members, remove_path

PATH = ("rerank", "vector")
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text().filter(lambda key: key != "rerank"), VALUES)
INDENTS = st.sampled_from([None, 0, 2])


def cut(text: str) -> tuple[str, object]:
    rest, member = remove_path(text, PATH)
    return rest, None if member is None else member.value


def test_member_between_others_goes_with_one_comma() -> None:
    assert cut('{"a":1.10,"rerank":{"vector":"QQ=="},"b":2}') == ('{"a":1.10,"b":2}', "QQ==")


def test_parent_with_other_members_stays() -> None:
    found = cut('{"rerank":{"mine":[1,{}],"vector":"QQ=="},"b":2}')
    assert found == ('{"rerank":{"mine":[1,{}]},"b":2}', "QQ==")


def test_text_that_looks_like_the_member_is_no_member() -> None:
    text = r'{"a":",\"rerank\":{\"vector\":\"QQ==\"}}","b":{"rerank":{"vector":"QQ=="}}}'
    assert cut(text) == (text, None)


def test_escaped_spelling_of_the_key_is_found() -> None:
    assert cut(r'{"\u0072erank":{"vector":5},"b":2}') == ('{"b":2}', 5)


def test_parent_that_is_no_object_is_left_alone() -> None:
    assert cut('{"rerank":"mine"}') == ('{"rerank":"mine"}', None)


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a":1}{}', '{"a":' * 5000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(JsonObjectError, match="expected a JSON object, found"):
        remove_path(text, PATH)


@given(DOCUMENTS, INDENTS, st.booleans(), st.data())
def test_cutting_what_was_put_in_gives_the_bytes_of_the_rest(
    document: dict[str, object], indent: int | None, ascii_only: bool, data: st.DataObject
) -> None:
    items = list(document.items())
    place = data.draw(st.integers(0, len(items)))
    widened = dict([*items[:place], ("rerank", {"vector": "QUJD"}), *items[place:]])
    rest, found = cut(json.dumps(widened, indent=indent, ensure_ascii=ascii_only))
    assert found == "QUJD"
    assert json.loads(rest) == document
    if indent is None:
        assert rest == json.dumps(document, ensure_ascii=ascii_only)


@given(DOCUMENTS, INDENTS)
def test_members_stand_where_they_are_said_to(document: dict[str, object], indent: int | None) -> None:
    text = json.dumps(document, indent=indent)
    found = {member.key: json.loads(text[member.value_start : member.end]) for member in read_members(text)}
    assert found == document
