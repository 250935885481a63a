"""The `ext` of an answer: what plugins of OpenSearch say there stays, beside what Twinrank says."""

import json
from typing import Any

import pytest

from opensearch.search.decision import plan_search
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.response import SearchResponse
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from plugin.encoding.model import Model
from plugin.search.page import RerankedPage
from reranker.bundle import Bundle
from reranker.manifest import FusionDefault
from tests.support.paths import TINY_BUNDLE

SETTINGS = RerankSettings(model="tiny", source_fields=("text",))
ANSWER: dict[str, Any] = {
    "took": 1,
    "timed_out": False,
    "_shards": {"total": 1, "failed": 0},
    "hits": {"max_score": 1.0, "hits": [{"_index": "books", "_id": "1", "_score": 1.0}]},
    "ext": {"ml_inference": {"summary": ["a", 1.5]}},
}


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.load(Bundle.open(TINY_BUNDLE))


def answered(model: Model, *, details: bool, indent: int | None = None) -> bytes:
    body = {"query": {"match": {"text": "wait"}}, "ext": {"rerank": {"explain": details}, "ml_inference": {}}}
    asked = SearchRequest.parse("/books/_search", json.dumps(body).encode())
    target = Target(SETTINGS, {"books": (SETTINGS.field,)})
    plan = plan_search(asked, target, defaults=FusionDefault("log_linear", 1.0, 0.0, 0.0)).plan
    assert isinstance(plan, Plan)
    response = SearchResponse.parse(json.dumps(ANSWER, indent=indent).encode())
    return RerankedPage(response, plan, model, None).write(lambda order: [response.hits[n] for n in order])


def test_what_a_plugin_says_stays_as_it_is(model: Model) -> None:
    assert json.loads(answered(model, details=False)) == ANSWER


@pytest.mark.parametrize("indent", [None, 2], ids=["compact", "pretty"])
def test_our_own_details_are_beside_it(model: Model, indent: int | None) -> None:
    found = json.loads(answered(model, details=True, indent=indent))["ext"]
    assert list(found) == ["ml_inference", "rerank"]
    assert found["ml_inference"] == ANSWER["ext"]["ml_inference"]
    assert found["rerank"]["query_text"] == "wait"
