"""OpenSearch's answer, read and rebuilt from its own bytes."""

import base64
import json
from typing import Any

import msgspec
import pytest

from opensearch.search_response import SearchResponse, UnusableResponseError, VectorField

PACKED = bytes(range(41))
PADDED = base64.b64encode(PACKED).decode()
FIELD = VectorField("rerank.vector")


def hit(source: str, **members: str) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(value.encode()) for name, value in {**members, "_source": source}.items()}


def taken(
    found: dict[str, msgspec.Raw], field: VectorField = FIELD
) -> tuple[dict[str, msgspec.Raw], bytes | None]:
    return field.cut(found), field.packed(found)


def answer(hits: str = "", **members: object) -> bytes:
    known = {
        "took": 3,
        "timed_out": False,
        "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
    }
    top = json.dumps({**known, **members}, separators=(",", ":"))
    envelope = f'{{"total":{{"value":3,"relation":"eq"}},"max_score":2.50,"hits":[{hits}]}}'
    return f'{top[:-1]},"hits":{envelope}}}'.encode()


def hits(*scores: str) -> str:
    return ",".join(f'{{"_index":"b","_id":"{i}","_score":{score}}}' for i, score in enumerate(scores))


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


def test_the_clients_own_fields_stay() -> None:
    cleaned, _ = taken(hit("{}", fields=f'{{"year":[1970.0],"rerank.vector":["{PADDED}"]}}'))
    assert bytes(cleaned["fields"]) == b'{"year":[1970.0]}'


@pytest.mark.parametrize("value", ['["QQ==","QQ=="]', "[]", "[1]", '["?"]', '["A"]'])
def test_doc_values_that_are_no_single_vector_are_unusable(value: str) -> None:
    _, packed = taken(hit("{}", fields=f'{{"rerank.vector":{value}}}'))
    assert not packed


@pytest.mark.parametrize("value", ["null", "1", '["QQ=="]', '{"a":1}'])
def test_a_source_value_that_is_no_vector_is_unusable(value: str) -> None:
    _, packed = taken(hit(f'{{"a":1,"rerank":{{"vector":{value}}}}}'))
    assert not packed


def test_a_field_name_without_dots() -> None:
    assert taken(hit('{"a":1,"vec":"QUJD"}'), VectorField("vec")) == (hit('{"a":1}'), b"ABC")


def test_the_kth_hit_of_a_page_carries_the_kth_score() -> None:
    page = SearchResponse.parse(answer(hits("2.50", "1.5", "1.0"))).page([2, 0, 1], 0, 2, dict)
    found = json.loads(page, parse_float=str)["hits"]
    assert [(each["_id"], each["_score"]) for each in found["hits"]] == [("2", "2.50"), ("0", "1.5")]


def test_first_stage_order_gives_the_very_bytes() -> None:
    body = answer(hits("2.50", "1.5"), aggregations={"n": {"value": 1.10}})
    assert SearchResponse.parse(body).page(range(2), 0, 10, dict) == body


@pytest.mark.parametrize(
    "members", [{"timed_out": True}, {"_shards": {"total": 2, "failed": 1}}, {"_shards": 1}]
)
def test_a_partial_answer_is_unusable(members: dict[str, Any]) -> None:
    with pytest.raises(UnusableResponseError):
        SearchResponse.parse(answer(**members))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"---\ntook: 1", b'{"hits":{}}', answer(hits("1"))[:-1], b'"\xff"']
)
def test_what_is_no_search_answer_is_unusable(body: bytes) -> None:
    with pytest.raises(UnusableResponseError):
        SearchResponse.parse(body)


@pytest.mark.parametrize("score", ["null", '"x"'])
def test_a_hit_without_score_is_unusable(score: str) -> None:
    with pytest.raises(UnusableResponseError):
        SearchResponse.parse(answer(hits(score))).scores()
