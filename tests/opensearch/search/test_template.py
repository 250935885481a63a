"""Search templates read and rendered, and an upstream that does not render them."""

import json
from contextlib import closing
from typing import Any

import msgspec
import pytest
from werkzeug.test import Client, TestResponse

from opensearch.rawjson.filter_path import shows
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.template import build_rendered_search, render_body
from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.http.scripted_upstream import (
    CLOSE,
    COMPLETE,
    http_answer,
    index_settings,
    patience_s,
    scripted,
)
from tests.support.paths import TINY_BUNDLE

SETTINGS = index_settings("sidecar")
OWN = http_answer(200, {"the": "client's own", "status": 200})
RENDERED = http_answer(200, {"template_output": {"query": {"match": {"text": "wait"}}}})
BODY = {"id": "by-text", "params": {"text": "wait"}}


def template(body: object, target: str = "/books/_search/template") -> SearchRequest:
    return SearchRequest.parse(target, json.dumps(body).encode())


def rendered(body: object, output: bytes, target: str = "/_search/template") -> SearchRequest:
    return build_rendered_search(template(body, target), "/books/_search", b'{"template_output":%b}' % output)


@pytest.mark.parametrize("name", ["id", "source", "inline", "template"])
def test_a_template_has_a_name_or_a_source(name: str) -> None:
    assert json.loads(render_body(template({name: "x", "params": {}, "explain": True})))[name] == "x"


@pytest.mark.parametrize("body", [{}, {"params": {}}, {"id": "x", "other": 1}])
def test_what_is_no_template_is_not_understood(body: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstoodError, match="template"):
        render_body(template(body))


def test_what_is_rendered_keeps_its_bytes() -> None:
    search = rendered({"id": "x"}, b'{ "query" : {"term":{"price":1.10}},\n"size":2}')
    assert search.path == "/books/_search"
    assert msgspec.json.encode(search.body) == b'{"query":{"term":{"price":1.10}},"size":2}'


@pytest.mark.parametrize(("flags", "kept"), [
    ({}, set()),
    ({"explain": True}, {"explain"}),
    ({"explain": "true", "profile": True}, {"explain", "profile"}),
    ({"explain": False}, set()),
])  # fmt: skip
def test_explain_and_profile_are_the_requests(flags: dict[str, Any], kept: set[str]) -> None:
    search = rendered({"id": "x", **flags}, b'{"explain":true,"profile":true,"size":1}')
    assert search.body.keys() == {"size", *kept}


@pytest.mark.parametrize("output", [b"hello", b"", b"[]", b"7", b'{"a":1} }'])
def test_what_is_no_search_is_not_understood(output: bytes) -> None:
    with pytest.raises(NotUnderstoodError, match="template"):
        rendered({"id": "x"}, output)


def test_parameters_that_are_not_looked_at_are_dropped_and_others_stay() -> None:
    target = "/_search/template?size=3&q=x&df=a&preference=p&track_total_hits=false&scroll=1m"
    parameters = rendered({"id": "x"}, b"{}", target).parameters
    assert parameters == {"preference": "p", "track_total_hits": "false", "scroll": "1m"}
    assert rendered({"id": "x"}, b"{}", "/_search/template?df=a").parameters == {"df": "a"}


@pytest.mark.parametrize(("parameter", "is_shown"), [
    ("", True), ("status", True), ("st*", True), ("**", True), ("hits", False), ("hits,status", True),
    ("-status", False), ("-hits", True), ("*,-status", False), ("status.x", False),
])  # fmt: skip
def test_a_filter_shows_a_member_or_not(parameter: str, is_shown: bool) -> None:
    assert shows(parameter, ("status",)) == is_shown


def asked(*answers: bytes | None, path: str = "/books/_search/template") -> tuple[TestResponse, list[bytes]]:
    bodies: list[bytes] = []
    with (
        scripted(*answers, bodies=bodies) as url,
        closing(Upstream(url, read_timeout_s=patience_s(answers))) as upstream,
    ):
        client = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        found = client.post(path, json=BODY, buffered=True)
    return found, bodies


@pytest.mark.parametrize("answer", [
    http_answer(403, {"error": {}, "status": 403}),
    http_answer(404, {"error": {}, "status": 404}),
    http_answer(200, b"{"),
    http_answer(200, {}),
])  # fmt: skip
def test_a_template_that_is_not_rendered_is_the_clients_own_request(answer: bytes) -> None:
    found, bodies = asked(answer, SETTINGS, OWN)
    assert found.json == {"the": "client's own", "status": 200}
    assert found.headers["Rerank-Status"] == "skipped; reason=template"
    assert json.loads(bodies[2]) == BODY


@pytest.mark.parametrize("answer", [
    http_answer(500, {"error": {}, "status": 500}),
    http_answer(200, {**COMPLETE, "timed_out": True}),
    None,
])  # fmt: skip
def test_a_fault_in_answer_to_the_widened_search_sends_the_clients_own(answer: bytes | None) -> None:
    found, bodies = asked(RENDERED, SETTINGS, answer, OWN)
    assert (found.json or {})["the"] == "client's own"
    assert found.headers["Rerank-Status"] == "skipped; reason=upstream"
    assert json.loads(bodies[-1]) == BODY


def test_an_upstream_that_is_gone_is_a_502() -> None:
    found, _ = asked(CLOSE, CLOSE)
    assert found.status_code == 502
