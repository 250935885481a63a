"""What reaches OpenSearch of requests that are meant to be read differently by two servers in a row.

Bytes on a socket, the real gunicorn, and an upstream that keeps what it was sent. `status` is what the proxy
answers; the comment beside it what OpenSearch 3.8 answers to the same bytes, where that is something else.
"""

import gzip
import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from plugin.harness.proxy_process import running_proxy
from plugin.http.content_coding import decode_body
from plugin.http.headers import keep_end_to_end
from plugin.http.messages import BLOCK_BYTES, Request
from plugin.writes.bulk_body import MAX_CONTENT_BYTES, BulkBody
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_http import ask
from tests.support.http.raw_wire import ANSWER, Kept, exchanged, kept_upstream, statuses
from tests.support.http.wire_cases import REFUSED, SMUGGLED, got, posted
from tests.support.paths import TINY_BUNDLE


@pytest.fixture(scope="module", params=CORES)
def wire(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Kept]]:
    """Yield a proxy's URL and its upstream."""
    folder, arguments = tmp_path_factory.mktemp("proxy"), core_arguments(request.param)
    with (
        kept_upstream() as kept,
        running_proxy(kept.url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
    ):
        yield proxy.url, kept


def sent(wire: tuple[str, Kept], raw: bytes) -> tuple[list[int], list[tuple[bytes, bytes]]]:
    """Send bytes; return the statuses that come back, and the requests that reached the upstream."""
    url, kept = wire
    for _ in range(3):
        kept.requests.clear()
        answered = statuses(exchanged(url, raw))
        if answered:  # else the answer was lost: the connection was reset over bytes that nobody reads
            break
    return answered, kept.clients


@pytest.mark.parametrize("name", REFUSED)
def test_what_two_servers_may_read_differently_reaches_no_second_one(
    wire: tuple[str, Kept], name: str
) -> None:
    raw, status = REFUSED[name]
    answered, reached = sent(wire, raw)
    assert (answered, reached) == ([status], [])


@pytest.mark.parametrize("raw", [
    got(target=b"/i?a=" + b"x" * 30_000),
    got(*(b"X-%d: a" % n for n in range(3000))),
    got(b"X-A: " + b"x" * 60_000),
])  # fmt: skip
def test_what_opensearch_may_be_set_to_take_reaches_it(wire: tuple[str, Kept], raw: bytes) -> None:
    answered, [(head, _)] = sent(wire, raw)
    assert answered == [200]
    assert len(head) > len(raw) - 100


@pytest.mark.parametrize("size", [b"0x2", b"-2", b"2 ", b"g"])
def test_a_wrong_chunk_size_never_becomes_a_request(wire: tuple[str, Kept], size: bytes) -> None:
    raw = posted(b"Transfer-Encoding: chunked", size + b"\r\n{}\r\n0\r\n\r\n" + SMUGGLED)
    answered, reached = sent(wire, raw)
    assert len(answered) == 1
    assert answered[0] >= 400
    assert not any(b"_smuggled" in head for head, _ in reached)


@pytest.mark.parametrize("target", [
    b"/i/../_cat/health", b"/i/%2e%2e/_cat/health", b"/i%2F_count", b"//i//_count", b"//evil.example/i",
    b"/i%0d%0aX-A:%20b/_count", b"/i\\..\\_count", b"/i/_count;x", b"/_plugins/_rerank%2Fhealth",
    b"/%2e%2e/%2e%2e/etc/passwd", b"/i/_count?a=%00&a=b&a", b"*",
])  # fmt: skip
def test_a_path_goes_on_as_it_came(wire: tuple[str, Kept], target: bytes) -> None:
    """Nothing is resolved, decoded or joined here: what OpenSearch makes of it is for OpenSearch to say."""
    method = b"OPTIONS" if target == b"*" else b"GET"
    answered, reached = sent(wire, got(target=target).replace(b"GET", method, 1))
    assert answered == [200]
    lines = [head.split(b"\r\n")[0] for head, _ in reached if not head.startswith(b"POST")]
    assert lines == [b"%s %s HTTP/1.1" % (method, target)]


@pytest.mark.parametrize(("raw", "target"), [
    (got().replace(b"Host: a", b"Host: evil.example:1"), b"/i/_count"),
    (got(target=b"http://evil.example:1/i/_count"), b"/i/_count"),
    (got(target=b"http://user:password@evil.example/i/_count?a=b"), b"/i/_count?a=b"),
    (got(b"X-Forwarded-Host: evil.example", b"Forwarded: host=evil.example"), b"/i/_count"),
])  # fmt: skip
def test_the_upstream_is_fixed(wire: tuple[str, Kept], raw: bytes, target: bytes) -> None:
    answered, [(head, _)] = sent(wire, raw)
    assert answered == [200]
    assert head.split(b"\r\n")[0] == b"GET %s HTTP/1.1" % target
    host = b"Host: " + wire[1].url.removeprefix("http://").encode()
    assert [line for line in head.split(b"\r\n") if line.lower().startswith(b"host:")] == [host]


def test_headers_of_one_connection_stay_and_whose_request_it_is_does_not(wire: tuple[str, Kept]) -> None:
    """Whoever may name headers in `Connection` could take a user away that stands before the proxy."""
    named = b"Connection: X-A, Authorization, opendistro_security_impersonate_as, Upgrade, HTTP2-Settings"
    upgrade = b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"  # to which OpenSearch says 101
    identity = b"Authorization: Basic eA==", b"opendistro_security_impersonate_as: bob"
    answered, [(head, _)] = sent(wire, got(b"X-A: b", *identity, *upgrade, named))
    assert answered == [200]
    lines = head.lower().split(b"\r\n")
    assert b"authorization: basic ea==" in lines
    assert b"opendistro_security_impersonate_as: bob" in lines
    assert not [line for line in lines if line.startswith((b"x-a", b"upgrade", b"http2", b"connection"))]


def test_headers_that_differ_in_an_underscore_do_not_become_one(wire: tuple[str, Kept]) -> None:
    disguised = (
        b"Transfer_Encoding: chunked", b"Content_Length: 50", b"Content_Type: a/b", b"SCRIPT_NAME: /i",
        b"PATH_INFO: /_smuggled", b"REMOTE_USER: admin", b"opendistro-security-impersonate-as: eve",
    )  # fmt: skip
    answered, [(head, body)] = sent(wire, posted(b"\r\n".join((*disguised, b"Content-Length: 2")), b"{}"))
    assert (answered, body) == ([200], b"{}")
    assert head.startswith(b"POST /i/_count HTTP/1.1\r\n")
    assert b"\r\nContent-Type: application/json\r\n" in head
    assert b"\r\nContent-Length: 2\r\n" in head
    assert all(each.lower() in head.lower() for each in disguised)


def test_requests_in_a_row_and_100_continue(wire: tuple[str, Kept]) -> None:
    assert sent(wire, got() + got(target=b"/j"))[0] == [200, 200]
    answered, [(head, body)] = sent(wire, posted(b"Expect: 100-continue\r\nContent-Length: 2", b"{}"))
    assert (answered, body) == ([100, 200], b"{}")
    assert b"expect" not in head.lower()


def test_an_upstreams_header_cannot_begin_another_answer(tmp_path: Path) -> None:
    evil = ANSWER.replace(b"\r\n\r\n", b"\r\nX-A: b\x00c\r\n\r\n")
    with kept_upstream(evil) as kept, running_proxy(kept.url, tmp_path, bundle=TINY_BUNDLE) as proxy:
        answered = exchanged(proxy.url, got())
    assert len(statuses(answered)) <= 1
    assert b"\0" not in answered


def test_a_bomb_is_not_unpacked() -> None:
    """100 MB of zeros in 100 KB: no more than the limit is ever made of it."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()
    measured = (
        "import resource, sys; from plugin.http.content_coding import decode_body;"
        " peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        " bomb = sys.stdin.buffer.read(); before = peak(); found = decode_body(bomb, 'gzip', 1_000_000);"
        " print(found is None, peak() - before)"
    )
    ran = subprocess.run([sys.executable, "-c", measured], input=bomb, capture_output=True, check=True)
    is_none, growth_kib = ran.stdout.split()
    assert is_none == b"True"
    assert int(growth_kib) < 20_000
    assert decode_body(gzip.compress(b"{}"), "gzip", 2) == b"{}"


def test_a_bulks_bomb_fills_no_disk_and_goes_on_as_it_came(wire: tuple[str, Kept]) -> None:
    """200 MB in 200 KB: twice what OpenSearch takes unpacked, which is what decides here too."""
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(200)) + packer.flush()
    stream = BytesIO(bomb)
    headers = (("Content-Encoding", "gzip"),)
    body = BulkBody(Request("POST", "/_bulk", headers, stream, len(bomb)))
    assert (body.is_unread, b"".join(body.blocks()) == bomb) == (True, True)
    body.close()
    packed = b"Content-Encoding: gzip\r\nContent-Length: %d" % len(bomb)
    answered, reached = sent(wire, posted(packed, bomb).replace(b"/i/_count", b"/_bulk", 1))
    assert answered == [200]
    assert [each for line, each in reached if line.startswith(b"POST /_bulk")] == [bomb]


def test_a_bulk_in_chunks_without_end_is_not_kept() -> None:
    class Endless:
        left = 2 * MAX_CONTENT_BYTES // BLOCK_BYTES

        def read(self, size: int = 0, /) -> bytes:
            self.left -= 1
            return bytes(size) if self.left >= 0 else b""

    body = BulkBody(Request("POST", "/_bulk", (), Endless(), None))
    assert body.is_unread
    assert sum(map(len, body.blocks())) == 2 * MAX_CONTENT_BYTES
    assert body._kept.tell() <= MAX_CONTENT_BYTES + BLOCK_BYTES
    body.close()


NESTED = b'{"query":' + b'{"bool":{"must":[' * 20_000 + b"]}}" * 20_000 + b"}"


@pytest.mark.live
@pytest.mark.parametrize("body", [
    b'{"query":' + b'{"bool":{"must":[' * 30 + b"]}}" * 30 + b"}",  # NESTED was seen to end OpenSearch 3.8
    b'{"query":{"match":{"text":"x"}},"ext":' + b"[" * 1_500 + b"]" * 1_500 + b"}",
    b'{"query":{"match":{"text":"x"}},"size":1e400}',
    b'{"query":{"match":{"text":"x"}},"size":' + b"9" * 5_000 + b"}",
    b'{"query":{"match":{"text":"x"}},"size":1,"size":2}',
    b'{"query":{"match":{"text":"x"}},"query":{"match":{"text":"y"}}}',
    b'{"query":{"match":{"text":"x"}}}{"size":0}',
    b"\xff\xfe{}",
    b'{"query":{"match":{"text":"\\ud800"}}}',
])  # fmt: skip
def test_json_that_is_hard_to_read_is_opensearchs_to_answer(
    proxy_url: str, opensearch_url: str, toy_index: object, body: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    through, straight = (
        ask(url, "POST", "/toy/_search?filter_path=error.type,hits.total", body, headers)
        for url in (proxy_url, opensearch_url)
    )
    assert through.status == straight.status
    assert json.loads(through.body or b"{}") == json.loads(straight.body or b"{}")


@pytest.mark.parametrize(("target", "body"), [
    (b"/i/_msearch", b"{}\n" + NESTED + b"\n"),
    (b"/i/_msearch", b"{}" * 1_000_000),
    (b"/i/_msearch", b"[" * 1_000_000),
    (b"/i/_bulk", b'{"index":{}}\n' + b'{"text":' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"),
    (b"/i/_bulk", b"{" * 100_000 + b"\n"),
    (b"/i/_bulk", b'{"index":{}}'),
    (b"/i/_search", NESTED),
    (b"/i/_update/1", b'{"doc":' * 50_000 + b"{}" + b"}" * 50_000),
])  # fmt: skip
def test_bodies_deep_and_long_go_on_as_they_came(wire: tuple[str, Kept], target: bytes, body: bytes) -> None:
    """Asked without an OpenSearch: one of them was seen to end its connections."""
    head = b"Content-Length: %d" % len(body)
    answered, reached = sent(wire, posted(head, body).replace(b"/i/_count", target, 1))
    assert answered == [200]
    assert [each for line, each in reached if line.startswith(b"POST " + target)] == [body]


def test_connection_names_what_is_dropped() -> None:
    kept = keep_end_to_end((("Connection", "x-a,x-b"), ("X-A", "1"), ("X-C", "2"), ("Cookie", "3")))
    assert kept == (("X-C", "2"), ("Cookie", "3"))
