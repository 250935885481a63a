"""Errors over bytes that are no request, and over our own endpoints: all are JSON in OpenSearch's shape."""

import json
import ssl
from collections.abc import Iterator

import pytest
from gunicorn.http.errors import InvalidHeader, InvalidResponseHeader, LimitRequestLine

from plugin.harness.proxy_process import running_proxy
from plugin.server.client_errors import build_refusal, is_client_error
from plugin.server.client_options import ASYNC, GTHREAD
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_wire import ANSWER, exchanged, kept_upstream
from tests.support.http.wire_cases import CHUNKED, CHUNKS, REFUSED, got, posted
from tests.support.paths import TINY_BUNDLE

BROKEN_BODIES = {
    "a long trailer": (posted(CHUNKED, b"0\r\nX-A: " + b"x" * 70_000), 431),
    "a chunk size that is none": (posted(CHUNKED, b"zz\r\n{}"), 400),
    "a chunk without its end": (posted(CHUNKED, b"2\r\n{}xx0\r\n\r\n"), 400),
    "a trailer that says who asks": (posted(CHUNKED, b"0\r\nAuthorization: a\r\n\r\n"), 400),
    "a chunked search that breaks": (posted(CHUNKED, b"z").replace(b"_count", b"_search", 1) + CHUNKS, 400),
}
"""Their heads reach OpenSearch, on a connection that is cut at the fault."""


@pytest.fixture(scope="module", params=CORES)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a proxy's URL."""
    folder, arguments = tmp_path_factory.mktemp("proxy"), core_arguments(request.param)
    with (
        kept_upstream() as kept,
        running_proxy(kept.url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
    ):
        yield proxy.url


def assert_is_error(answer: bytes, status: int) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"\r\ncontent-type: application/json" in head.lower()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    told = json.loads(body)
    assert told["status"] == status
    assert told["error"]["root_cause"] == [{name: told["error"][name] for name in ("type", "reason")}]


@pytest.mark.parametrize("name", REFUSED | BROKEN_BODIES)
def test_what_is_refused_is_told_as_opensearch_tells_errors(url: str, name: str) -> None:
    raw, status = (REFUSED | BROKEN_BODIES)[name]
    answer = next(filter(None, (exchanged(url, raw) for _ in range(3))))
    assert_is_error(answer, status)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["reason"].startswith("expected ")


@pytest.mark.parametrize("path", ["nope", "health/", "/health", "metrics/nope", "status/a/b", "../nope"])
@pytest.mark.parametrize("method", [b"GET", b"POST", b"DELETE"])
def test_errors_of_our_own_endpoints_are_json_too(url: str, method: bytes, path: str) -> None:
    answer = exchanged(url, got(target=b"/_plugins/_rerank/" + path.encode()).replace(b"GET", method, 1))
    assert_is_error(answer, 404)


@pytest.mark.parametrize(("core", "status"), [(GTHREAD, 500), (ASYNC, 502)])
def test_an_answer_of_opensearchs_that_is_no_http_is_our_error(
    tmp_path_factory: pytest.TempPathFactory, core: str, status: int
) -> None:
    evil = ANSWER.replace(b"\r\n\r\n", b"\r\nX-A: b\x00c\r\n\r\n")
    folder = tmp_path_factory.mktemp("proxy")
    with (
        kept_upstream(evil) as kept,
        running_proxy(kept.url, folder, bundle=TINY_BUNDLE, arguments=core_arguments(core)) as proxy,
    ):
        assert_is_error(exchanged(proxy.url, got()), status)


@pytest.mark.parametrize(("error", "is_clients"), [
    (InvalidHeader("a"), True),
    (LimitRequestLine(9, 8), True),
    (ssl.SSLError("handshake"), True),
    (InvalidResponseHeader("a"), False),
    (ValueError("a secret"), False),
])  # fmt: skip
def test_whose_error_it_is(error: Exception, is_clients: bool) -> None:
    assert is_client_error(error) is is_clients
    assert b"secret" not in build_refusal(error)


def test_a_head_request_gets_no_body() -> None:
    assert build_refusal(ValueError("a"), is_head=True).endswith(b"\r\n\r\n")
