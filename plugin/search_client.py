"""A small client that keeps one connection and shows what opensearch-py hides: headers and milliseconds."""

import http.client
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

import msgspec

from plugin.errors import CommandError
from plugin.http_messages import basic_credentials
from plugin.stage_clock import server_timing


class SearchError(CommandError):
    """A search was not answered, or not with 200: says by whom, what was found and what to do."""


@dataclass(frozen=True)
class Answer:
    """One answered search: OpenSearch's own body, the headers, and how long the client waited."""

    body: dict[str, Any]
    headers: dict[str, str]
    elapsed_ms: float

    @property
    def hits(self) -> list[dict[str, Any]]:
        """The page's hits, as OpenSearch shapes them, best first."""
        hits: list[dict[str, Any]] = self.body["hits"]["hits"]
        return hits

    @property
    def ids(self) -> list[str]:
        """The `_id` of every hit, best first."""
        return [hit["_id"] for hit in self.hits]

    @property
    def status(self) -> str:
        """`Rerank-Status`, or nothing where no proxy answered."""
        return self.headers.get("rerank-status", "")

    @property
    def stages_ms(self) -> dict[str, float]:
        """Milliseconds of each stage, from `Server-Timing`."""
        return server_timing(self.headers.get("server-timing", ""))


class SearchClient:
    """One keep-alive connection to an OpenSearch, or to a proxy in front of one. Not for several threads."""

    def __init__(self, url: str, *, timeout_s: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SearchError(f"expected an address like http://localhost:9200, found {url!r}")
        connection = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = connection(parts.hostname, parts.port, timeout=timeout_s)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json", **dict(basic_credentials(url))}
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    def search(self, index: str, body: dict[str, Any]) -> Answer:
        """Search an index.

        Raises:
            SearchError: no answer, or another status than 200.
        """
        return self.request("POST", f"/{quote(index, safe=',*')}/_search", body)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        """Send any request whose answer is a JSON object.

        Raises:
            SearchError: no answer, or another status than 200.
        """
        payload = None if body is None else msgspec.json.encode(body)
        begin = time.perf_counter()
        try:
            self._connection.request(method, self._prefix + path, payload, self._headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise SearchError(f"no answer from {self._shown}: {error}. Is it running?") from error
        elapsed_ms = (time.perf_counter() - begin) * 1000
        if response.status != http.HTTPStatus.OK:
            raise SearchError(f"{self._shown}{path} answered {response.status}: {_reason(content)}")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(_decoded(content, self._shown + path), headers, elapsed_ms)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def _decoded(content: bytes, shown: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SearchError(f"expected a JSON object from {shown}, found: {error}") from error


def _reason(content: bytes) -> str:
    """Return the first reason in OpenSearch's error body, or the body's beginning."""
    try:
        error = msgspec.json.decode(content, type=dict[str, Any])["error"]
        return str(error["root_cause"][0]["reason"])
    except (msgspec.MsgspecError, LookupError, TypeError):
        return content[:200].decode("utf-8", "replace")
