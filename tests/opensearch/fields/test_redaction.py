"""The vector fields are removed from responses of every shape, and nothing else changes."""

import json

import pytest

from opensearch.fields.redaction import redact_response

SOURCE = '{"n":1.10,"rerank":{"vector":"QQ=="}}'
CLEAN = '{"n":1.10}'


def vector_fields(index: str | None) -> tuple[str, ...]:
    return () if index == "other" else ("rerank.vector",)


def cut(text: str) -> str:
    return redact_response(text.encode(), vector_fields).decode()


def hit(source: str, index: str = "books") -> str:
    return f'{{"_index":"{index}","_id":"1","_score":1.50,"_source":{source}}}'


SHAPES = [
    '{"hits":{"hits":[~]}}',
    '{"docs":[~,{"_index":"books","_id":"2","found":false}]}',
    '{"took":1,"aggregations":{"top":{"hits":{"hits":[~]}}}}',
    '{"aggregations":{"fields":{"hits":{"hits":[~]}}}}',
    '{"aggregations":{"_source":{"hits":{"hits":[~]}},"sort":{"doc_count":1,"fields":{"hits":{"hits":[~]}}}}}',
    '{"suggest":{"c":[{"text":"a","options":[~]}]}}',
    '{"hits":{"hits":[{"_id":"2","inner_hits":{"same":{"hits":{"hits":[~]}}}}]}}',
]


@pytest.mark.parametrize("shape", SHAPES)
def test_wherever_a_document_stands(shape: str) -> None:
    assert cut(shape.replace("~", hit(SOURCE))) == shape.replace("~", hit(CLEAN))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_index_without_settings_keeps_every_byte(shape: str) -> None:
    text = shape.replace("~", hit(SOURCE, "other"))
    assert cut(text) == text


def test_a_part_of_a_document_has_no_vector_field() -> None:
    text = (
        '{"hits":{"hits":[{"_index":"books","_id":"1","_nested":{"field":"parts"},"_source":'
        + SOURCE
        + "}]}}"
    )
    assert cut(text) == text


def test_what_filter_path_leaves_of_a_document() -> None:
    assert cut(f'{{"_source":{SOURCE}}}') == f'{{"_source":{CLEAN}}}'
    assert cut(f'{{"get":{{"_source":{SOURCE}}}}}') == f'{{"get":{{"_source":{CLEAN}}}}}'
    assert cut('{"hits":{"hits":[{"fields":{"rerank.vector":["QQ"],"n":[1.50]}}]}}') == (
        '{"hits":{"hits":[{"fields":{"n":[1.50]}}]}}'
    )


def test_a_lone_surrogate_beside_it_stays() -> None:
    lone = f'{{"hits":{{"hits":[{hit(SOURCE)},~]}}}}'.replace("~", hit(r'{"x":"\ud800"}'))
    assert cut(lone) == lone.replace(SOURCE, CLEAN)


@pytest.mark.parametrize(
    "text", ["", "[", '"_source"', "took: 3\n_source: x", '{"_source":1}', '{"fields":[1]}']
)
def test_what_is_no_answer_of_documents_comes_back(text: str) -> None:
    assert cut(text) == text


def test_pretty_answers_keep_opensearchs_spaces() -> None:
    fields = {"hits": {"hits": [{"_index": "books", "fields": {"n": [1], "rerank.vector": ["QQ"]}}]}}
    text = json.dumps(fields, indent=2, separators=(",", " : ")) + "\n"
    wanted = {"hits": {"hits": [{"_index": "books", "fields": {"n": [1]}}]}}
    assert cut(text) == json.dumps(wanted, indent=2, separators=(",", " : ")) + "\n"
