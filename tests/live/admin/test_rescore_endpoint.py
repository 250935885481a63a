"""`/rescore`: the clause that it answers, run on a real OpenSearch: the order that the proxy has."""

import json
from typing import Any

import pytest

from tests.support.api_client import HOSTILE_TEXTS, ApiClient, bundle
from tests.support.http.raw_http import ids, search
from tests.support.indices.toy_index import WINDOW, ToyIndex

pytestmark = pytest.mark.opensearch_2_19

API = ApiClient()


def clause(text: str, **more: Any) -> Any:  # noqa: ANN401
    return API.answer("/rescore", {"input": text, **more})["rescore"]


def params(rescore: Any) -> Any:  # noqa: ANN401
    return rescore["query"]["rescore_query"]["script_score"]["script"]["params"]


@pytest.mark.live
def test_the_order_is_that_of_the_proxy(toy_index: ToyIndex, proxy_url: str) -> None:
    body = {"query": toy_index.query, "size": toy_index.num_documents}
    rescored = search(toy_index.url, toy_index.name, {**body, "rescore": clause(toy_index.query_text)})
    through = search(proxy_url, toy_index.name, body)
    assert through.rerank_status.startswith(f"applied; window={WINDOW}")
    assert ids(rescored) == ids(through)
    assert ids(rescored) != [hit["_id"] for hit in toy_index.first_stage(toy_index.num_documents)]


@pytest.mark.live
def test_window_and_page_are_apart(toy_index: ToyIndex) -> None:
    body = {"query": toy_index.query, "rescore": clause(toy_index.query_text), "size": 5, "from": 7}
    assert ids(search(toy_index.url, toy_index.name, body)) == toy_index.expected_order()[7:12]


def test_what_is_not_said_is_the_bundles() -> None:
    found = clause("a b")
    assert found["window_size"] == 100
    assert params(found)["weight"] == bundle().manifest.fusion.weight
    assert params(found)["neutral"] == bundle().manifest.neutral_crossing
    assert params(found)["field"] == "rerank.vector"


def test_what_is_said_holds() -> None:
    """Numbers come as doubles from ml-commons."""
    found = clause("a b", window_size=30.0, weight=2.5, field="v.w", model=bundle().name)
    assert found["window_size"] == 30
    assert (params(found)["weight"], params(found)["field"]) == (2.5, "v.w")


@pytest.mark.parametrize(
    "text", [text for text in HOSTILE_TEXTS if text.strip()], ids=lambda text: ascii(text)[:20]
)
def test_any_text_is_a_query(text: str) -> None:
    assert len(params(clause(text))["query"]) > 8


@pytest.mark.parametrize(("body", "status", "says"), [
    ({}, 422, "`input`"),
    ({"input": " "}, 422, "expected a query text, found a blank one"),
    ({"input": "a", "window_size": 0}, 422, "$.window_size"),
    ({"input": "a", "window_size": 10_001}, 422, "$.window_size"),
    ({"input": "a", "weight": 41}, 422, "$.weight"),
    ({"input": "a", "model": "other"}, 404, "expected the model tiny"),
], ids=range(6))  # fmt: skip
def test_a_wrong_request_is_refused_in_opensearchs_shape(body: Any, status: int, says: str) -> None:  # noqa: ANN401
    answer = API.post("/rescore", body)
    error = json.loads(answer.data)
    assert (answer.status_code, error["status"]) == (status, status)
    assert says in error["error"]["reason"]
    assert error["error"]["root_cause"][0]["reason"] == error["error"]["reason"]
