"""Requests are told apart as OpenSearch tells them apart."""

import pytest

from opensearch.endpoints import Api, Endpoint, changes_indices, find_endpoint


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/_search", Endpoint(Api.SEARCH)),
        ("POST", "/a,b*/_search", Endpoint(Api.SEARCH, "a,b*")),
        ("POST", "//a/_search/", Endpoint(Api.SEARCH, "a")),
        ("POST", "/%3Clogs-%7Bnow%2Fd%7D%3E/_search", Endpoint(Api.SEARCH, "%3Clogs-%7Bnow%2Fd%7D%3E")),
        ("GET", "/_msearch", Endpoint(Api.MULTI_SEARCH)),
        ("POST", "/a/_msearch", Endpoint(Api.MULTI_SEARCH, "a")),
        ("POST", "/_search/template", Endpoint(Api.SEARCH_TEMPLATE)),
        ("GET", "/a/_search/template", Endpoint(Api.SEARCH_TEMPLATE, "a")),
        ("POST", "/a/_msearch/template", Endpoint(Api.MULTI_SEARCH_TEMPLATE, "a")),
        ("POST", "/_search/scroll", Endpoint(Api.SCROLL)),
        ("GET", "/_search/scroll/abc", Endpoint(Api.SCROLL)),
        ("GET", "/a/_doc/1", Endpoint(Api.GET, "a", "1")),
        ("HEAD", "/a/_source/1", Endpoint(Api.SOURCE, "a", "1")),
        ("GET", "/a/_mget", Endpoint(Api.MULTI_GET, "a")),
        ("GET", "/a/_explain/1", Endpoint(Api.EXPLAIN, "a", "1")),
        ("POST", "/a/_doc", Endpoint(Api.INDEX, "a")),
        ("PUT", "/a/_doc/x%2Fy", Endpoint(Api.INDEX, "a", "x%2Fy")),
        ("PUT", "/a/_create/1", Endpoint(Api.CREATE, "a", "1")),
        ("POST", "/a/_update/1", Endpoint(Api.UPDATE, "a", "1")),
        ("DELETE", "/a/_doc/1", Endpoint(Api.DELETE, "a", "1")),
        ("PUT", "/_bulk", Endpoint(Api.BULK)),
        ("POST", "/a/_bulk", Endpoint(Api.BULK, "a")),
    ],
)
def test_an_api_is_known_by_method_and_path(method: str, path: str, expected: Endpoint) -> None:
    assert find_endpoint(method, path) == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("PUT", "/_search"),
        ("PUT", "/a"),
        ("GET", "/a/b/_search"),
        ("DELETE", "/_search/scroll"),
        ("POST", "/a/_search/point_in_time"),
        ("POST", "/a/_update_by_query"),
        ("GET", "/a%2F_search"),
        ("PUT", "/a/_doc"),
        ("GET", "/_cat/indices"),
        ("GET", "/a/_search/template/x"),
    ],
)
def test_every_other_request_is_none_of_them(method: str, path: str) -> None:
    assert find_endpoint(method, path) is None


@pytest.mark.parametrize("request_line", [
    "PUT /articles", "DELETE /articles", "DELETE /a,b", "PUT /articles/_mapping", "POST /articles/_mapping",
    "PUT /_mapping", "POST /_aliases", "PUT /articles/_alias/x", "DELETE /articles/_alias/x",
    "PUT /articles/_settings", "POST /logs/_rollover", "PUT /_data_stream/logs", "POST /articles/_close",
])  # fmt: skip
def test_these_may_change_settings(request_line: str) -> None:
    assert changes_indices(*request_line.split())


@pytest.mark.parametrize("request_line", [
    "GET /articles/_mapping", "HEAD /articles", "POST /articles/_doc", "PUT /articles/_doc/1", "POST /_bulk",
    "POST /articles/_bulk", "POST /articles/_search", "POST /articles/_refresh", "PUT /_index_template/x",
])  # fmt: skip
def test_these_do_not_change_settings(request_line: str) -> None:
    assert not changes_indices(*request_line.split())
