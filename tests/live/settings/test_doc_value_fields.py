"""Settings that name fields of documents: one without fitting doc values is refused, and said where it is."""

import json
from typing import Any

import pytest
from opensearchpy import OpenSearch

from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.settings.effect_bench import JSON_BODY

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

PROPERTIES = {"title": {"type": "text", "fields": {"raw": {"type": "keyword"}}}, "sales": {"type": "long"}}
SIGNAL = {"field": "title", "kind": "log1p", "weight": 1, "scale": 10}
WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"fusion": {"signals": [SIGNAL]}},
        "fusion.signals[0].field: expected a numeric field with doc values, found title of {index}, a field"
        " of type text. Name another field",
    ),
    (
        {"keep_exact": ["sales", "title"]},
        "keep_exact[1]: expected a keyword or numeric field with doc values, found title of {index}, a field"
        " of type text. Use title.raw",
    ),
]


@pytest.fixture
def index(client: OpenSearch, toy_index: ToyIndex, index_name: str) -> str:
    body = index_body(toy_index.bundle)
    body["mappings"]["properties"] |= PROPERTIES
    client.indices.create(index=index_name, body=body)
    return index_name


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_a_wrong_field_is_a_400_that_says_what_to_use(
    client: OpenSearch, proxy_url: str, index: str, settings: dict[str, Any], message: str
) -> None:
    before = client.indices.get_mapping(index=index)
    url = f"/_plugins/_rerank/settings/{index}"
    answer = ask(proxy_url, "PUT", url, json.dumps(settings).encode(), JSON_BODY)
    assert answer.status == 400
    reason = json.loads(answer.body)["error"]["reason"]
    assert reason.startswith(f"_meta.rerank.{message.format(index=index)}. "), reason
    assert client.indices.get_mapping(index=index) == before


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_one_that_was_written_by_hand_is_reported(
    client: OpenSearch, proxy_url: str, index: str, settings: dict[str, Any], message: str
) -> None:
    meta = client.indices.get_mapping(index=index)[index]["mappings"]["_meta"]
    meta["rerank"] |= settings
    client.indices.put_mapping(index=index, body={"_meta": meta})
    answer = ask(proxy_url, "GET", f"/_plugins/_rerank/settings/{index}")
    assert json.loads(answer.body)[index]["problems"] == [message.format(index=index)]
