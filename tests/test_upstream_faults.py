"""An upstream that misbehaves as no real OpenSearch does on command: refusals, hangs, broken answers."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from werkzeug.test import Client, TestResponse

from plugin.errors import UpstreamError
from plugin.model import Model
from plugin.proxy_process import free_port
from plugin.upstream import Upstream
from plugin.wsgi import Proxy
from reranker.bundle import Bundle
from tests.conftest import TINY_BUNDLE

CLOSE = b""
NO_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def scripted(*answers: bytes | None) -> Iterator[str]:
    """Run an upstream that gives these answers in turn, one a request: bytes, CLOSE, or None to hang."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        left = list(answers)
        while left:
            try:
                connection, _ = listener.accept()
            except OSError:  # closed: the test is over
                return
            with connection:
                while left and connection.recv(65536):
                    answer = left.pop(0)
                    if answer is None:
                        done.wait(30)
                    if not answer or done.is_set():
                        break
                    connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    done.set()
    listener.close()


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


def test_connections_are_kept() -> None:
    with scripted(NO_BODY, NO_BODY) as url, closing(Upstream(url)) as upstream:
        for _ in range(2):  # one connection: the script's second answer is for the same one
            streamed = upstream.stream("GET", "/", (), (), 0)
            assert list(streamed) == []
            streamed.close()
        assert len(upstream._idle) == 1


@pytest.mark.parametrize("url", ["", "localhost:9200", "ftp://a", "http://", "http://a/path"])
def test_an_upstream_that_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="expected an upstream such as"):
        Upstream(url)
