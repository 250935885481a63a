"""Requests as they stand: what a client library would tidy up is sent and shown as it is."""

import http.client
import json
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
) -> RawAnswer:
    """Send one request; a body that is no bytes goes in chunks."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        connection.request(method, target, body, headers or {}, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    kept = {name.lower(): value for name, value in response.getheaders() if name.lower() not in _OF_THE_HOP}
    return RawAnswer(response.status, response.reason, kept, content)


def search(url: str, index: str, body: object, parameters: str = "") -> RawAnswer:
    """Send a search; a body that is no bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(url, "POST", f"/{index}/_search{parameters}", data, {"Content-Type": "application/json"})


def ids(answer: RawAnswer) -> list[str]:
    """Return the ids of an answer's hits, in order."""
    return [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]
