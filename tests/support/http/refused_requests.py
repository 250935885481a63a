"""Requests that no server may understand in two ways, and how they are answered."""

SMUGGLED = b"GET /_smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


def posted(headers: bytes, body: bytes, version: bytes = b"1.1") -> bytes:
    start = b"POST /i/_count HTTP/%s\r\nHost: a\r\nContent-Type: application/json\r\n" % version
    return start + headers + b"\r\n\r\n" + body


def got(*headers: bytes, target: bytes = b"/i/_count") -> bytes:
    return b"GET %s HTTP/1.1\r\n" % target + b"\r\n".join((b"Host: a", *headers)) + b"\r\n\r\n"


REFUSED = {
    "both lengths": (posted(b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + SMUGGLED), 400),  # noqa: E501
    "both, other order": (posted(b"Transfer-Encoding: chunked\r\nContent-Length: 4", CHUNKS), 400),
    "two lengths": (posted(b"Content-Length: 2\r\nContent-Length: 40", b"{}" + SMUGGLED), 400),
    "two equal lengths": (posted(b"Content-Length: 2\r\nContent-Length: 2", b"{}"), 400),
    "a list of lengths": (posted(b"Content-Length: 2, 2", b"{}"), 400),
    "a signed length": (posted(b"Content-Length: +2", b"{}"), 400),
    "a negative length": (posted(b"Content-Length: -1", b"{}"), 400),
    "a length in Python's form": (posted(b"Content-Length: 0_2", b"{}"), 400),
    "an unknown coding": (posted(b"Transfer-Encoding: xchunked", b"0\r\n\r\n" + SMUGGLED), 501),
    "identity": (posted(b"Transfer-Encoding: identity\r\nContent-Length: 2", b"{}"), 400),
    "chunked not last": (posted(b"Transfer-Encoding: chunked, identity", CHUNKS), 400),
    "chunked twice": (posted(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS), 400),
    "a space before the colon": (posted(b"Transfer-Encoding : chunked", CHUNKS), 400),
    "a vertical tab": (posted(b"Transfer-Encoding:\x0bchunked", CHUNKS), 400),
    "chunks in HTTP/1.0": (posted(b"Transfer-Encoding: chunked", CHUNKS, b"1.0"), 400),
    "a folded header": (got(b"X-A: b\r\n c"), 400),  # OpenSearch reads it as one
    "a bare CR": (got(b"X-A: b\rX-B: c"), 400),
    "a bare LF in a value": (got(b"X-A: b\nX-B: c"), 400),
    "bare LFs": (b"GET /i/_count HTTP/1.1\nHost: a\n\n", 400),
    "NUL in a value": (got(b"X-A: b\0c"), 400),
    "NUL in the path": (got(target=b"/i\0/_count"), 400),  # 404
    "a space in a name": (got(b"X A: b"), 400),
    "no name": (got(b": b"), 400),
    "two hosts": (got(b"Host: b"), 400),  # it takes them
    "another version": (b"GET /i HTTP/3.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/2 without TLS": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),  # it speaks it
    "PROXY protocol": (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + got(), 400),
    "another expectation": (posted(b"Expect: x\r\nContent-Length: 2", b"{}"), 417),
    "a relative target": (got(target=b"i/_count"), 400),
    "a target that begins with @": (got(target=b"@evil.example/_count"), 400),  # 404
    "bytes above 127 in the path": (got(target=b"/i/\xc3\xa9"), 400),  # OpenSearch takes them
    "a tunnel": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "a long request line": (got(target=b"/i?a=" + b"x" * 70_000), 414),  # 400
    "a long first line without end": (b"GET /" + b"x" * 70_000, 414),
    "many headers": (got(*(b"X-%d: %d" % (n, 10**9) for n in range(4000))), 431),  # 400
    "a long header": (got(b"X-A: " + b"x" * 70_000), 431),  # 400
    "a long header without end": (got(b"X-A: " + b"x" * 70_000)[:-4], 431),
    "TLS where none is": (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    "a method in small letters": (b"get /i HTTP/1.1\r\nHost: a\r\n\r\n", 400),  # it closes the connection
    "no version": (b"GET /i\r\n\r\n", 400),
}  # fmt: skip
