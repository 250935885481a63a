"""A search's `ext.ubi`: read, refused in words, and taken out."""

import json
from typing import Any

import pytest

from opensearch.search.request import SearchRequest
from plugin.ubi.parameters import InvalidError, read_parameters, take_ubi

QUERY: dict[str, Any] = {"match": {"text": "wait"}}


def search(ext: object) -> SearchRequest:
    return SearchRequest.parse("/books/_search", json.dumps({"query": QUERY, "ext": ext}).encode())


def refusal(ubi: object) -> str:
    raw, _ = take_ubi(search({"ubi": ubi}))
    assert raw is not None
    with pytest.raises(InvalidError) as refused:
        read_parameters(raw)
    return str(refused.value)


def test_every_member_is_read() -> None:
    given = {
        "query_id": "q",
        "user_query": "apple",
        "client_id": "c",
        "application": "shop",
        "object_id_field": "sku.id",
        "query_attributes": {"a": "b", "n": 1, "x": 1.5, "t": True},
    }
    raw, _ = take_ubi(search({"ubi": given}))
    assert raw is not None
    found = read_parameters(raw)
    assert {name: getattr(found, name) for name in found.__struct_fields__} == given


@pytest.mark.parametrize("ext", [None, [], 5, "ubi", {}, {"other": {"ubi": 1}}], ids=str)
def test_what_has_no_ubi_is_left_as_it_is(ext: object) -> None:
    asked = search(ext)
    raw, rest = take_ubi(asked)
    assert raw is None
    assert rest is asked


def test_it_is_taken_out_and_the_rest_of_ext_stays() -> None:
    _, alone = take_ubi(search({"ubi": {}}))
    assert "ext" not in alone.body
    _, beside = take_ubi(search({"ubi": {}, "rerank": {"window_size": 20}}))
    assert beside.member("ext") == {"rerank": {"window_size": 20}}
    assert beside.query == QUERY


@pytest.mark.parametrize(
    ("ubi", "said"),
    [
        (5, "ext.ubi: expected a JSON object, found 5."),
        ([], "ext.ubi: expected a JSON object, found []."),
        ({"query_id": 7}, "ext.ubi.query_id: expected a text or null, found 7."),
        ({"client_id": ["c"]}, 'ext.ubi.client_id: expected a text or null, found ["c"].'),
        ({"user_query": 1.5}, "ext.ubi.user_query: expected a text or a JSON object or null, found 1.5."),
        ({"object_id_field": {}}, "ext.ubi.object_id_field: expected a text or null, found {}."),
        ({"query_attributes": []}, "ext.ubi.query_attributes: expected a JSON object, found []."),
        ({"queryid": "q"}, "ext.ubi.queryid: expected one of query_id,"),
    ],
    ids=str,
)
def test_a_wrong_value_is_named(ubi: object, said: str) -> None:
    message = refusal(ubi)
    assert message.startswith(said)
    assert message.endswith("Correct the request, or leave the key out")


def test_an_attribute_that_is_no_single_value_is_named() -> None:
    assert "query_attributes" in refusal({"query_attributes": {"a": {"b": 1}}})
