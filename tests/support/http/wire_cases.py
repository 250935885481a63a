"""Requests as bytes: what the proxy answers, what OpenSearch 3.8 answers, and why where they differ.

`tests/live/server/test_conformance.py` sends each case to both. It stands for a point where an HTTP server is
easily wrong: lengths, chunks, targets, names and bytes of headers, connections.
"""

from dataclasses import dataclass

from plugin.server.client_options import GTHREAD

SMUGGLED = b"GET /_smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"

STRICT = "two servers in a row may read it differently"
LIMIT = "OpenSearch answers 400; the proxy says which limit it was"
OURS = "the proxy's own rule"
JOINED = "WSGI joins headers of one name, OpenSearch takes one X-Opaque-Id only"


@dataclass(frozen=True)
class WireCase:
    """Bytes, and the statuses that answer them, in order; none: the connection ends, or nothing comes.

    `opensearch` is None if it answers the same statuses; else `why` says why the proxy differs. `threads` is
    what the core with threads answers, if not the same; then `why` says why that differs.
    """

    raw: bytes
    proxy: tuple[int, ...]
    opensearch: tuple[int, ...] | None = None
    why: str = ""
    threads: tuple[int, ...] | None = None

    @property
    def straight(self) -> tuple[int, ...]:
        """What OpenSearch answers."""
        return self.proxy if self.opensearch is None else self.opensearch

    def by_core(self, core: str) -> tuple[int, ...]:
        """Return what the proxy answers with a core."""
        return self.threads if core == GTHREAD and self.threads is not None else self.proxy


def posted(headers: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    start = b"POST /i/_count HTTP/%s\r\nHost: a\r\nContent-Type: application/json\r\n" % version
    return start + headers + b"\r\n\r\n" + body


def got(*headers: bytes, target: bytes = b"/i/_count", method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\n" % (method, target) + b"\r\n".join((b"Host: a", *headers)) + b"\r\n\r\n"


def refused(
    raw: bytes, status: int, opensearch: tuple[int, ...] | None = None, why: str = STRICT
) -> WireCase:
    return WireCase(raw, (status,), opensearch, "" if opensearch is None else why)


REFUSALS = {
    "both lengths": refused(posted(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + SMUGGLED), 400),  # noqa: E501
    "both, other order": refused(posted(b"Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNKS), 400),
    "two lengths": refused(posted(b"Content-Length: 2\r\nContent-Length: 40", b"{}" + SMUGGLED), 400),
    "two equal lengths": refused(posted(b"Content-Length: 2\r\nContent-Length: 2", b"{}"), 400),
    "a list of lengths": refused(posted(b"Content-Length: 2, 2", b"{}"), 400),
    "a signed length": refused(posted(b"Content-Length: +2", b"{}"), 400),
    "a negative length": refused(posted(b"Content-Length: -1", b"{}"), 400),
    "a length in Python's form": refused(posted(b"Content-Length: 0_2", b"{}"), 400),
    "an unknown coding": refused(
        posted(b"Transfer-Encoding: xchunked", b"0\r\n\r\n" + SMUGGLED), 501, (200, 400)
    ),
    "identity": refused(posted(b"Transfer-Encoding: identity\r\nContent-Length: 2", b"{}"), 400, (200,)),
    "chunked not last": refused(posted(b"Transfer-Encoding: chunked, identity", CHUNKS), 400),
    "chunked twice": refused(posted(CHUNKED + b"\r\n" + CHUNKED, CHUNKS), 400, (200,)),
    "a space before the colon": refused(posted(b"Transfer-Encoding : chunked", CHUNKS), 400),
    "a vertical tab": refused(posted(b"Transfer-Encoding:\x0bchunked", CHUNKS), 400),
    "chunks in HTTP/1.0": refused(posted(b"Transfer-Encoding: chunked", CHUNKS, b"1.0"), 400),
    "a folded header": refused(got(b"X-A: b\r\n c"), 400, (200,)),
    "a bare CR": refused(got(b"X-A: b\rX-B: c"), 400),
    "a bare LF in a value": refused(got(b"X-A: b\nX-B: c"), 400),
    "bare LFs": refused(b"GET /i/_count HTTP/1.1\nHost: a\n\n", 400),
    "NUL in a value": refused(got(b"X-A: b\0c"), 400),
    "NUL in the path": refused(got(target=b"/i\0/_count"), 400, (404,)),
    "a space in a name": refused(got(b"X A: b"), 400),
    "no name": refused(got(b": b"), 400),
    "two hosts": refused(got(b"Host: b"), 400, (200,)),
    "two content types": refused(posted(b"Content-Type: text/plain\r\nContent-Length: 2", b"{}"), 400),
    "another version": refused(b"GET /i HTTP/3.1\r\nHost: a\r\n\r\n", 400, (), OURS),
    "HTTP/2 without TLS": refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, (), "OpenSearch speaks it"),
    "PROXY protocol": refused(b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + got(), 400),
    "another expectation": refused(posted(b"Expect: x\r\nContent-Length: 2", b"{}"), 417),
    "a relative target": refused(got(target=b"i/_count"), 400, (200,)),
    "a target that begins with @": refused(got(target=b"@evil.example/_count"), 400, (404,)),
    "bytes above 127 in the path": refused(got(target=b"/i/\xc3\xa9"), 400, (400,), OURS),
    "a tunnel": refused(b"CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "a long request line": refused(got(target=b"/i?a=" + b"x" * 70_000), 414, (400,), LIMIT),
    "a long first line without end": refused(b"GET /" + b"x" * 70_000, 414, (400,), LIMIT),
    "many headers": refused(got(*(b"X-%d: %d" % (n, 10**9) for n in range(4000))), 431, (400,), LIMIT),
    "a long header": refused(got(b"X-A: " + b"x" * 70_000), 431, (400,), LIMIT),
    "a long header without end": refused(got(b"X-A: " + b"x" * 70_000)[:-4], 431, (400,), LIMIT),
    "TLS where none is": refused(b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "a method in small letters": refused(b"get /i HTTP/1.1\r\nHost: a\r\n\r\n", 400, (), OURS),
    "no version": refused(b"GET /i\r\n\r\n", 400),
}  # fmt: skip
"""What reaches no second server."""

UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
)

PASSED = {
    "a GET": WireCase(got(), (200,)),
    "a HEAD": WireCase(got(method=b"HEAD", target=b"/i"), (200,)),
    "a HEAD that finds nothing": WireCase(got(method=b"HEAD", target=b"/i/_doc/none"), (404,)),
    "a GET with a body": WireCase(posted(b"Content-Length: 2", b"{}").replace(b"POST", b"GET", 1), (200,)),
    "a DELETE with a body": WireCase(
        posted(b"Content-Length: 2", b"{}").replace(b"POST /i/_count", b"DELETE /_search/scroll", 1), (400,)
    ),
    "a POST without a body": WireCase(posted(b"X-A: b", b""), (200,)),
    "an OPTIONS": WireCase(got(method=b"OPTIONS", target=b"/i/_count"), (200,)),
    "an unknown method": WireCase(got(method=b"FOO"), (502,), (), "OpenSearch closes the connection"),
    "a method that no path has": WireCase(got(method=b"PATCH"), (405,)),
    "chunks": WireCase(posted(CHUNKED, CHUNKS), (200,)),
    "chunks, name and value in capitals": WireCase(posted(CHUNKED.upper(), CHUNKS), (200,)),
    "chunk sizes with zeros": WireCase(posted(CHUNKED, b"0002\r\n{}\r\n000\r\n\r\n"), (200,)),
    "a chunk extension": WireCase(posted(CHUNKED, b"2;a=b\r\n{}\r\n0\r\n\r\n"), (200,)),
    "a trailer": WireCase(posted(CHUNKED, b"2\r\n{}\r\n0\r\nX-A: b\r\n\r\n"), (200,)),
    "a trailer that says who asks": WireCase(
        posted(CHUNKED, b"2\r\n{}\r\n0\r\nAuthorization: b\r\n\r\n"), (400,), (200,), STRICT
    ),
    "codings before chunked": WireCase(
        posted(b"Transfer-Encoding: gzip, chunked", CHUNKS), (501,), (200,), "the coding would be lost"
    ),
    "a 100 Continue": WireCase(posted(b"Expect: 100-continue\r\nContent-Length: 2", b"{}"), (100, 200)),
    "a 100 Continue and chunks": WireCase(
        posted(b"Expect: 100-continue\r\nTransfer-Encoding: chunked", CHUNKS), (100, 200)
    ),
    "two in a row": WireCase(got() + got(), (200, 200)),
    "a body and the next one": WireCase(posted(b"Content-Length: 2", b"{}") + got(), (200, 200)),
    "chunks and the next one": WireCase(posted(CHUNKED, CHUNKS) + got(), (200, 200)),
    "an empty line before it": WireCase(b"\r\n" + got(), (200,)),
    "the last of a connection": WireCase(got(b"Connection: close"), (200,)),
    "HTTP/1.0": WireCase(b"GET /i/_count HTTP/1.0\r\n\r\n", (200,)),
    "HTTP/1.0, kept": WireCase(b"GET /i/_count HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" * 2, (200, 200)),
    "no host": WireCase(b"GET /i/_count HTTP/1.1\r\n\r\n", (200,)),
    "an empty host": WireCase(got().replace(b"Host: a", b"Host:"), (200,)),
    "an offer of HTTP/2": WireCase(got(UPGRADE[:-2]), (200,), (101,), "the proxy speaks HTTP/1.1 only"),
    "an offer of HTTP/2 with a body": WireCase(
        posted(UPGRADE + b"Content-Length: 2", b"{}"), (200,), (101,), "the proxy speaks HTTP/1.1 only"
    ),
    "an offer of a WebSocket": WireCase(got(b"Connection: upgrade", b"Upgrade: websocket"), (200,)),
    "an absolute target": WireCase(got(target=b"http://evil.example/i/_count"), (200,), (400,), OURS),
    "an asterisk": WireCase(got(method=b"OPTIONS", target=b"*"), (200,)),
    "slashes in a row": WireCase(got(target=b"//i//_count"), (400,)),
    "an escaped slash": WireCase(got(target=b"/i/_doc/a%2Fb"), (404,)),
    "dots": WireCase(got(target=b"/i/../i/_count"), (400,)),
    "a question mark alone": WireCase(got(target=b"/i/_count?"), (200,)),
    "an escape that is none": WireCase(got(target=b"/i/_count?a=%zz"), (400,)),
    "a parameter that nobody knows": WireCase(got(target=b"/i/_count?a=b&a=c"), (400,)),
    "a line longer than OpenSearch takes": WireCase(got(target=b"/i/_count?q=" + b"x" * 5000), (400,)),
    "a header longer than OpenSearch takes": WireCase(got(b"X-A: " + b"x" * 20_000), (400,)),
    "bytes above 127 in a value": WireCase(got(b"X-Opaque-Id: \x80\xc3\xa9\xff"), (200,)),
    "one header twice": WireCase(got(b"X-Opaque-Id: a", b"X-Opaque-Id: b"), (400,), None, JOINED, (200,)),
    "one header in two spellings": WireCase(
        got(b"X-Opaque-Id: a", b"x-opaque-id: b"), (400,), None, JOINED, (200,)
    ),
    "a name with an underscore": WireCase(got(b"x_opaque_id: a"), (200,)),
    "an empty value": WireCase(got(b"X-Opaque-Id:"), (200,)),
    "blanks around a value": WireCase(got(b"X-Opaque-Id: \t a \t "), (200,)),
    "names that Connection drops": WireCase(got(b"X-A: b", b"Connection: X-A"), (200,)),
    "an accepted type that is none": WireCase(
        got(b"Accept: ;"), (200,), (), "OpenSearch never answers it, so the proxy leaves it out"
    ),
    "a wrong content type": WireCase(
        posted(b"Content-Length: 2", b"{}").replace(b"application/json", b"text/plain"), (406,)
    ),
    "a coding that nobody knows": WireCase(
        posted(b"Content-Encoding: x\r\nContent-Length: 2", b"{}"), (200,)
    ),
}  # fmt: skip
"""What reaches OpenSearch, which answers."""

CASES = REFUSALS | PASSED

REFUSED = {name: (case.raw, case.proxy[0]) for name, case in REFUSALS.items()}
