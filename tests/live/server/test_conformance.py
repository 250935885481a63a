"""One table of requests as bytes, sent to OpenSearch and through the proxy: who answers what, and why.

`tests/support/http/wire_cases.py` is the table. Another version of OpenSearch, another HTTP server in the
proxy, or another library shows here first.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_wire import exchanged, statuses
from tests.support.http.wire_cases import CASES, PASSED, WireCase
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.live

INDEX = "i"
OF_ONE_CONNECTION = {b"connection", b"keep-alive", b"server", b"date"}

each_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


@pytest.fixture(scope="module", autouse=True)
def index(client: OpenSearch) -> Iterator[None]:
    """Make the index that the requests ask about."""
    client.indices.create(index=INDEX, body={"settings": {"number_of_shards": 1, "number_of_replicas": 0}})
    client.index(index=INDEX, id="1", body={"n": 1}, params={"refresh": "true"})
    yield
    client.indices.delete(index=INDEX)


@dataclass(frozen=True)
class Proxied:
    """A proxy, and its core."""

    url: str
    core: str


@pytest.fixture(scope="module", params=CORES)
def proxied(
    request: pytest.FixtureRequest, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    """Yield a proxy of each core."""
    folder, arguments = tmp_path_factory.mktemp("proxy"), core_arguments(request.param)
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
        yield Proxied(proxy.url, request.param)


def answered(url: str, raw: bytes, expected: tuple[int, ...]) -> bytes:
    """Return what comes back. An answer may be lost if the connection is reset over unread bytes."""
    tries = (exchanged(url, raw, timeout_s=20.0 if expected else 2.0) for _ in range(3 if expected else 1))
    return next(filter(None, tries), b"")


def described(answer: bytes) -> tuple[bytes, set[tuple[bytes, bytes]], bytes]:
    """Return the status line, the end-to-end headers and the body of the last answer in these bytes."""
    head, _, body = answer[answer.rindex(b"HTTP/1.") :].partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    headers = {(name, value) for name, _, value in (each.partition(b": ") for each in lines)}
    kept = {header for header in headers if header[0].lower() not in OF_ONE_CONNECTION}
    return line.partition(b" ")[2], kept, body


@each_case
def test_opensearch_answers_as_the_table_says(opensearch_url: str, case: WireCase) -> None:
    found = answered(opensearch_url, case.raw, case.straight)
    assert tuple(statuses(found)) == case.straight


@each_case
def test_the_proxy_answers_as_the_table_says_byte_for_byte_where_opensearch_does(
    opensearch_url: str, proxied: Proxied, case: WireCase
) -> None:
    expected = case.by_core(proxied.core)
    found = answered(proxied.url, case.raw, expected)
    assert tuple(statuses(found)) == expected
    if case in PASSED.values() and expected == case.straight:
        assert described(found) == described(answered(opensearch_url, case.raw, expected))


def test_each_difference_has_its_reason() -> None:
    same = [name for name, case in CASES.items() if case.opensearch is None and case.threads is None]
    assert [name for name, case in CASES.items() if not case.why] == same
    assert len(CASES) > 80
