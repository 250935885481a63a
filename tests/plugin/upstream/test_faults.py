"""An upstream that misbehaves as no real OpenSearch does on command: refusals, hangs, broken answers."""

import json
from contextlib import closing

import pytest
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.harness.proxy_process import free_port
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.http.scripted_upstream import (
    CLOSE,
    COMPLETE,
    NO_BODY,
    UNFINISHED,
    http_answer,
    index_settings,
    patience_s,
    scripted,
)
from tests.support.paths import TINY_BUNDLE


def asked(url: str, method: str = "GET", target: str = "/_cluster/health", **options: float) -> TestResponse:
    with closing(Upstream(url, **options)) as upstream:  # type: ignore[arg-type]
        client = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        return client.open(target, method=method, buffered=True)


def assert_error(answer: TestResponse, status: int, words: str) -> None:
    """The error has OpenSearch's shape, so that its clients print it."""
    body = json.loads(answer.data)
    assert (answer.status_code, body["status"]) == (status, status)
    assert words in body["error"]["reason"]
    assert body["error"]["root_cause"][0]["reason"] == body["error"]["reason"]


@pytest.mark.parametrize("target", ["/_cluster/health", "/books/_search"])
def test_nobody_listens(target: str) -> None:
    answer = asked(f"http://127.0.0.1:{free_port()}", target=target)
    assert_error(answer, 502, "Check that it runs and that --upstream names it")


@pytest.mark.parametrize("target", ["/_cluster/health", "/books/_search"])
def test_no_answer_in_time(target: str) -> None:
    with scripted(None, None) as url:
        assert_error(asked(url, target=target, read_timeout_s=0.2), 504, "found none in time")


@pytest.mark.parametrize("target", ["/_cluster/health", "/books/_search"])
def test_the_connection_is_closed_without_an_answer(target: str) -> None:
    with scripted(CLOSE, CLOSE) as url:
        assert_error(asked(url, target=target), 502, "expected OpenSearch at")


@pytest.mark.parametrize("target", ["/_cluster/health", "/books/_search"])
def test_what_answers_is_no_http(target: str) -> None:
    with scripted(b"220 mail ready\r\n", b"220 mail ready\r\n") as url:
        assert_error(asked(url, target=target), 502, "expected OpenSearch at")


def test_an_answer_that_breaks_off_is_not_taken_for_whole() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    with scripted(half) as url, pytest.raises(UpstreamError, match="96 bytes early"):
        asked(url)


def test_a_kept_connection_that_was_closed_meanwhile_is_replaced() -> None:
    with scripted(NO_BODY, CLOSE, NO_BODY) as url, closing(Upstream(url)) as upstream:
        for _ in range(2):
            assert upstream.exchange("GET", "/", ()).status == 200


both_executions = pytest.mark.parametrize("execution", ["sidecar", "cluster"])
OWN_ANSWER = http_answer(200, {"the": "client's own"})


def searched(*answers: bytes | None, execution: str = "sidecar") -> TestResponse:
    """Search an index with settings; `answers` follow the one that tells them."""
    settings = index_settings(execution)
    with (
        scripted(settings, *answers) as url,
        closing(Upstream(url, read_timeout_s=patience_s(answers))) as upstream,
    ):
        client = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        body = {"query": {"match": {"text": "wait"}}}
        return client.post("/books/_search", json=body, buffered=True)


@pytest.mark.parametrize("answer", [
    http_answer(500, {"error": {"type": "circuit_breaking_exception"}}),
    http_answer(400, {"error": {"type": "illegal_argument_exception"}}),
    http_answer(200, b'{"took":1,"timed_out":false,"_shards":{"failed":0},"hits":{"hits":['),
    http_answer(200, b"\xff\xfe"),
    http_answer(200, {**COMPLETE, "timed_out": True}),
    http_answer(200, {**COMPLETE, "_shards": {"failed": 1}}),
    http_answer(200, {**COMPLETE, "hits": {}}),
    UNFINISHED,
    None,
])  # fmt: skip
@both_executions
def test_a_fault_in_answer_to_the_widened_request_sends_the_clients_own(
    answer: bytes | None, execution: str
) -> None:
    found = searched(answer, OWN_ANSWER, execution=execution)
    assert (found.status_code, found.json) == (200, {"the": "client's own"})
    assert found.headers["Rerank-Status"] == "skipped; reason=upstream"


@pytest.mark.parametrize("status", [401, 403, 429])
@both_executions
def test_a_refusal_of_the_widened_request_is_returned_and_not_repeated(status: int, execution: str) -> None:
    found = searched(http_answer(status, {"refused": status}), execution=execution)
    assert (found.status_code, found.json) == (status, {"refused": status})
    reason = "upstream" if status == 429 else "not_enabled"  # nothing tells that the index has settings
    assert found.headers["Rerank-Status"] == f"skipped; reason={reason}"


def test_an_upstream_that_goes_in_the_middle_of_a_search_is_a_502() -> None:
    assert_error(searched(CLOSE, CLOSE, CLOSE), 502, "expected OpenSearch at")


def test_connections_are_kept() -> None:
    with scripted(NO_BODY, NO_BODY) as url, closing(Upstream(url)) as upstream:
        for _ in range(2):  # one connection: the script's second answer is for the same one
            streamed = upstream.stream("GET", "/", (), (), 0)
            assert list(streamed) == []
            streamed.close()
        assert [host.num_idle for host in upstream.hosts()] == [1]


def test_a_connection_that_was_handed_back_twice_is_kept_once() -> None:
    """Kept twice it would be two requests' at once."""
    with scripted(NO_BODY) as url, closing(Upstream(url)) as upstream:
        streamed = upstream.stream("GET", "/", (), (), 0)
        assert list(streamed) == []
        streamed.close()
        streamed.close()
        assert [host.num_idle for host in upstream.hosts()] == [1]


def test_a_connection_whose_answer_broke_off_is_not_kept() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"
    with scripted(half) as url, closing(Upstream(url)) as upstream:
        streamed = upstream.stream("GET", "/", (), (), 0)
        with pytest.raises(UpstreamError, match="96 bytes early"):
            list(streamed)
        streamed.close()  # as the server does, whatever happened
        assert [host.num_idle for host in upstream.hosts()] == [0]


@pytest.mark.parametrize("url", ["", "localhost:9200", "ftp://a", "http://", "http://a/path"])
def test_an_upstream_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected an upstream such as"):
        Upstream(url)
