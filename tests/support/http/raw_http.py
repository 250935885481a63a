"""Requests as they stand: what a client library would tidy up is sent and shown as it is."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

_OF_THE_HOP = {"connection", "date", "keep-alive", "server", "transfer-encoding"}


@dataclass(frozen=True)
class RawAnswer:
    """Status, end-to-end headers with lower-case names, and the body's bytes."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def rerank_status(self) -> str:
        return self.headers.get("rerank-status", "")


def ask(
    url: str,
    method: str,
    target: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
    trusting: ssl.SSLContext | None = None,
) -> RawAnswer:
    """Send one request; a body that is no bytes goes in chunks. `trusting`: whom, where it goes over TLS."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = http.client.HTTPConnection(host, port, timeout=60)
    if parts.scheme == "https":
        trusted = trusting or ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=60, context=trusted)
    try:
        connection.request(method, target, body, headers or {}, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    kept = {name.lower(): value for name, value in response.getheaders() if name.lower() not in _OF_THE_HOP}
    return RawAnswer(response.status, response.reason, kept, content)


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header that names a user."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def search(url: str, index: str, body: object, parameters: str = "") -> RawAnswer:
    """Send a search; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(url, "POST", f"/{index}/_search{parameters}", data, {"Content-Type": "application/json"})


def ids(answer: RawAnswer) -> list[str]:
    """Return the ids of an answer's hits, in order."""
    return [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]
