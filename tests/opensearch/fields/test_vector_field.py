"""The vector field, read and removed from the bytes that OpenSearch wrote."""

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.fields.vector_field import VectorField

PACKED = bytes(range(41))
PADDED = base64.b64encode(PACKED).decode()
FIELD = VectorField("rerank.vector")


def hit(source: str, **members: str) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(value.encode()) for name, value in {**members, "_source": source}.items()}


def taken(
    found: dict[str, msgspec.Raw], field: VectorField = FIELD
) -> tuple[dict[str, msgspec.Raw], bytes | None]:
    return field.remove(found), field.read(found)


@pytest.mark.parametrize("source", [
    f'{{"n":1.10,"e":"\\u00e9","rerank":{{"vector":"{PADDED}"}}}}',
    f'{{"rerank":{{"vector":"{PADDED}"}},"n":1.10,"e":"\\u00e9"}}',
    f'{{"n":1.10,"rerank":{{ "vector" : "{PADDED}" }},"e":"\\u00e9"}}',
])  # fmt: skip
def test_the_vector_is_read_from_the_source_and_cut_out_of_its_bytes(source: str) -> None:
    cleaned, packed = taken(hit(source))
    assert packed == PACKED
    assert bytes(cleaned["_source"]) == b'{"n":1.10,"e":"\\u00e9"}'


def test_a_source_of_nothing_but_the_vector_becomes_empty() -> None:
    cleaned, packed = taken(hit(f'{{"rerank":{{"vector":"{PADDED}"}}}}'))
    assert (bytes(cleaned["_source"]), packed) == (b"{}", PACKED)


def test_text_that_looks_like_the_vector_stays() -> None:
    source = r'{"a":"x","b":",\"rerank\":{\"vector\":\"QQ==\"}}"}'
    assert taken(hit(source)) == (hit(source), None)


def test_a_nested_object_of_the_same_name_stays() -> None:
    source = '{"a":1,"b":{"c":1,"rerank":{"vector":"QQ=="}}}'
    assert taken(hit(source)) == (hit(source), None)


def test_doc_values_come_without_padding_and_leave_no_empty_fields() -> None:
    cleaned, packed = taken(hit("{}", fields=json.dumps({"rerank.vector": [PADDED.rstrip("=")]})))
    assert packed == PACKED
    assert cleaned == hit("{}")


def test_a_wildcard_of_the_client_may_have_asked_for_it_once_more() -> None:
    value = PADDED.rstrip("=")
    assert taken(hit("{}", fields=json.dumps({"rerank.vector": [value, value]}))) == (hit("{}"), PACKED)


def test_an_indented_source_of_nothing_but_the_vector_is_written_as_opensearch_does() -> None:
    cleaned, _ = taken(hit('{\n  "rerank" : {\n    "vector" : "QQ=="\n  }\n}'))
    assert bytes(cleaned["_source"]) == b"{ }"


def test_the_clients_own_fields_stay() -> None:
    cleaned, _ = taken(hit("{}", fields=f'{{"year":[1970.0],"rerank.vector":["{PADDED}"]}}'))
    assert bytes(cleaned["fields"]) == b'{"year":[1970.0]}'


@pytest.mark.parametrize("value", ['["QQ==","Qg=="]', "[]", "[1]", '["?"]', '["A"]'])
def test_doc_values_that_are_no_single_vector_are_unusable(value: str) -> None:
    _, packed = taken(hit("{}", fields=f'{{"rerank.vector":{value}}}'))
    assert not packed


@pytest.mark.parametrize("value", ["null", "1", '["QQ=="]', '{"a":1}'])
def test_a_source_value_that_is_no_vector_is_unusable(value: str) -> None:
    _, packed = taken(hit(f'{{"a":1,"rerank":{{"vector":{value}}}}}'))
    assert not packed


def test_a_field_name_without_dots() -> None:
    assert taken(hit('{"a":1,"vec":"QUJD"}'), VectorField("vec")) == (hit('{"a":1}'), b"ABC")


@pytest.mark.parametrize("source", [
    f'{{"a":1,"rerank.vector":"{PADDED}","b":2}}',
    f'{{"a":1,"b":2,"rerank.vector":"{PADDED}"}}',
])  # fmt: skip
def test_a_vector_under_its_dotted_name_is_found_too(source: str) -> None:
    cleaned, packed = taken(hit(source))
    assert (bytes(cleaned["_source"]), packed) == (b'{"a":1,"b":2}', PACKED)


def test_a_vector_that_was_taken_away_leaves_nothing() -> None:
    cleaned, packed = taken(hit('{"a":1,"rerank":null}'))
    assert (bytes(cleaned["_source"]), packed) == (b'{"a":1}', None)


LIKE_BASE64 = st.text('QA=+/-\\?"', max_size=9)
sources = st.one_of(
    st.binary(max_size=30).map(lambda packed: json.dumps(base64.b64encode(packed).decode())),
    LIKE_BASE64.map(json.dumps),
    st.sampled_from(["null", "1", f'["{PADDED}"]']),
).map(lambda value: f'{{"a":"é","rerank":{{"vector":{value}}}}}')
fields = st.one_of(
    st.none(),
    st.binary(max_size=30).map(lambda packed: [base64.b64encode(packed).decode().rstrip("=")]),
    st.lists(LIKE_BASE64, max_size=2),
).map(lambda values: {} if values is None else {"fields": json.dumps({"rerank.vector": values})})


@given(st.lists(st.builds(lambda source, members: hit(source, **members), sources, fields), max_size=8))
def test_a_window_is_read_as_its_hits_one_by_one(hits: list[dict[str, msgspec.Raw]]) -> None:
    assert FIELD.read_all(hits) == [FIELD.read(each) for each in hits]
