"""APIs that search and are not reranked say so."""

import json

import pytest
from opensearchpy import OpenSearch

from opensearch.search.unranked_apis import find_unranked_api
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import ToyIndex


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", "/_rank_eval", "rank_eval"),
        ("GET", "/articles,books/_rank_eval", "rank_eval"),
        ("POST", "/_plugins/_sql", "sql"),
        ("POST", "/_plugins/_ppl/_explain", "sql"),
        ("POST", "/_plugins/_asynchronous_search", "asynchronous_search"),
        ("POST", "/_plugins/_search_relevance/experiments", "search_relevance"),
        ("GET", "/_validate/query", "validate_query"),
        ("POST", "/articles/_validate/query", "validate_query"),
        ("POST", "/articles/_eql/search", "eql"),
        ("POST", "/articles/_percolate", "percolate"),
        ("POST", "/articles/_knn_search", "knn_search"),
        ("POST", "/articles/_async_search", "asynchronous_search"),
        ("POST", "/_plugins/_async_query", "sql"),
        ("PUT", "/_rank_eval", None),
        ("GET", "/articles/_validate/other", None),
        ("GET", "/articles/_doc/query", None),
        ("GET", "/articles/_doc/_rank_eval", None),
        ("GET", "/articles/_count", None),
        ("POST", "/articles/_search", None),
        ("GET", "/", None),
    ],
)
def test_an_api_is_told_by_its_path(method: str, path: str, reason: str | None) -> None:
    assert find_unranked_api(method, path) == reason


@pytest.mark.live
def test_rank_eval_measures_opensearch_alone_and_says_so(
    client: OpenSearch, toy_index: ToyIndex, proxy_url: str
) -> None:
    rating = {"_index": toy_index.name, "_id": toy_index.first_stage(1)[0]["_id"], "rating": 1}
    requests = [{"id": "q", "request": {"query": toy_index.query}, "ratings": [rating]}]
    body = json.dumps({"requests": requests, "metric": {"mean_reciprocal_rank": {"k": 10}}}).encode()
    target, headers = f"/{toy_index.name}/_rank_eval", {"Content-Type": "application/json"}
    answers = [ask(url, "POST", target, body, headers) for url in (toy_index.url, proxy_url)]
    assert [json.loads(answer.body)["metric_score"] for answer in answers] == [1.0, 1.0]
    assert answers[1].rerank_status == "skipped; reason=rank_eval"


@pytest.mark.live
def test_a_validated_query_is_opensearchs_and_says_so(toy_index: ToyIndex, proxy_url: str) -> None:
    body, headers = json.dumps({"query": toy_index.query}).encode(), {"Content-Type": "application/json"}
    target = f"/{toy_index.name}/_validate/query?explain=true"
    own, passed = (ask(url, "POST", target, body, headers) for url in (toy_index.url, proxy_url))
    assert (passed.status, passed.body) == (own.status, own.body) == (200, own.body)
    assert passed.rerank_status == "skipped; reason=validate_query"


@pytest.mark.live
def test_an_api_of_other_servers_gets_opensearchs_error(toy_index: ToyIndex, proxy_url: str) -> None:
    target, headers = f"/{toy_index.name}/_eql/search", {"Content-Type": "application/json"}
    own, passed = (ask(url, "POST", target, b"{}", headers) for url in (toy_index.url, proxy_url))
    assert (passed.status, passed.body) == (own.status, own.body)
    assert own.status >= 400
    assert passed.rerank_status == "skipped; reason=eql"
