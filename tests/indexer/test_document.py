"""Documents: which text stands for one, and that nothing but the vector changes in its bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.document import Document, parse
from indexer.errors import DocumentError

FIELD = "rerank.vector"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
sources = st.dictionaries(
    st.sampled_from(["title", "a.b", "rerankable", "", "_x", "é\n"]) | st.text(max_size=5),
    json_values,
    max_size=5,
).filter(lambda source: not any(f"{FIELD}.".startswith(f"{key}.") for key in source))
layouts = st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])


@given(sources, layouts, st.booleans())
def test_a_vector_is_added_at_the_end_and_taken_out_again(
    source: dict[str, Any], layout: tuple[str, str], ascii_only: bool
) -> None:
    text = json.dumps(source, separators=layout, ensure_ascii=ascii_only)
    with_vector = Document(text).with_vector(FIELD, "AAAA")
    assert with_vector.startswith(text[:-1])
    assert json.loads(with_vector) == source | {"rerank": {"vector": "AAAA"}}
    assert Document(with_vector).without_vector(FIELD) == text
    assert Document(text).without_vector(FIELD) == text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"n": 1.10, "b": 123456789012345678901234567890, "e": "\\u00e9" }',
         '{"n": 1.10, "b": 123456789012345678901234567890, "e": "\\u00e9" ,"rerank":{"vector":"V"}}'),
        ("{}", '{"rerank":{"vector":"V"}}'),
        (" { } ", ' { "rerank":{"vector":"V"}} '),
        ('{"rerank": {"vector": "old"}, "t": 1}', '{"t": 1,"rerank":{"vector":"V"}}'),
        ('{"rerank": {"a": 1.10, "vector": "old"}, "t": 1}', '{"rerank": {"a": 1.10,"vector":"V"}, "t": 1}'),
        ('{"rerank.vector": "o", "rerank": {"vector": "o", "x": 1}}', '{"rerank": {"x": 1,"vector":"V"}}'),
        ('{"t": 1, "rerank": null}', '{"t": 1,"rerank":{"vector":"V"}}'),
        ('{"rerank": {}, "t": 1}', '{"rerank": {"vector":"V"}, "t": 1}'),
    ],
)  # fmt: skip
def test_the_vector_takes_its_place(source: str, expected: str) -> None:
    assert Document(source).with_vector(FIELD, "V") == expected


def test_any_path_can_hold_the_vector() -> None:
    assert Document('{"a": 1}').with_vector("v", "V") == '{"a": 1,"v":"V"}'
    assert Document('{"a": 1}').with_vector("b.c.d", "V") == '{"a": 1,"b":{"c":{"d":"V"}}}'
    assert Document('{"b": {"c": {"d": "old"}, "e": 1}}').without_vector("b.c.d") == '{"b": {"e": 1}}'
    assert Document('{"b": {"c": {"d": "old"}}}').without_vector("b.c.d") == "{}"


@pytest.mark.parametrize("value", ['"text"', "1", "[]", '[{"vector": "old"}]', "true"])
def test_what_is_no_object_is_not_overwritten(value: str) -> None:
    with pytest.raises(DocumentError, match=r"expected an object at 'rerank'.*--vector-field"):
        Document(f'{{"rerank": {value}}}').with_vector(FIELD, "V")


@pytest.mark.parametrize(
    ("line", "source", "document_id"),
    [
        (b'{"_id": "7", "t": 1.10}', '{"t": 1.10}', "7"),
        (b'{"t": 1.10, "_id": "7"}', '{"t": 1.10}', "7"),
        (b'{"a": 1 , "_id": 12.50 , "b": 2}', '{"a": 1 , "b": 2}', "12.50"),
        (b'{ "_id": "7" }', "{  }", "7"),
        (b'{"_id": null, "t": 1}', '{"t": 1}', None),
        (b'{"t": {"_id": "inner"}}', '{"t": {"_id": "inner"}}', None),
        ('{"_id": "é😀"}'.encode(), "{}", "é😀"),
    ],
)
def test_the_id_is_taken_out_of_the_source(line: bytes, source: str, document_id: str | None) -> None:
    assert parse(line) == Document(source, document_id)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"t": ', "expected a JSON object, found: Expecting value"),
        (b'{"t": 1} x', "more after the object's end"),
        (b'{"t": 1,}', '" is missing'),
        (b"[1]", "{ is missing"),
        (b"", "{ is missing"),
        (b'{"t": "a\x01b"}', "Invalid control character"),
        (b'{"t": "\xff"}', "expected UTF-8"),
        (b'{"t": ' + b"[" * 9000 + b"]" * 9000 + b"}", "nested too deeply"),
        (b'{"_id": ""}', "expected as _id"),
        (b'{"_id": "\\ud800"}', "without lone surrogates"),
        (b'{"_id": {"a": 1}}', "expected as _id"),
        (b'{"_id": true}', "expected as _id"),
        (b'{"_id": "%s"}' % (b"i" * 513), "1 to 512 bytes"),
        (b'{"_id": "1", "_id": "2"}', "expected one _id, found 2"),
    ],
)
def test_what_is_no_document_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse(line)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ({"title": "a", "text": "b", "other": "c"}, "a\nb"),
        ({"text": "b", "title": "a"}, "a\nb"),
        ({"title": "a"}, "a"),
        ({"title": None, "text": ""}, ""),
        ({"title": " \n", "text": "b"}, "b"),
        ({"title": ["a", 1, None, ["b", {"x": "c"}]], "text": 5}, "a\nb"),
        ({"title": {"x": "a"}, "text": True}, ""),
        ({"title": "lone \ud800", "text": "😀"}, "lone \ud800\n😀"),
    ],
)
def test_the_text_of_a_document(source: dict[str, Any], text: str) -> None:
    assert Document(json.dumps(source)).text(("title", "text")) == text


def test_paths_go_through_objects_arrays_and_dotted_names() -> None:
    source = {"a": [{"b": "1"}, {"b": ["2", "3"]}, "x"], "a.b": "4", "c.d": {"e": "5"}}
    assert Document(json.dumps(source)).text(("a.b", "c.d.e")) == "1\n2\n3\n4\n5"
