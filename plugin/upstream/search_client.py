"""A small client with one connection that shows what opensearch-py hides: headers and times."""

import http.client
import re
import ssl
import time
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

import msgspec

from opensearch.connection_advice import DENIED, answer_advice, connection_advice
from plugin.errors import CommandError
from plugin.http.headers import Headers, read_credentials
from plugin.upstream.aws_signing import Sign

_DURATION = re.compile(r"dur=[0-9]+(?:\.[0-9]*)?")


class SearchError(CommandError):
    """A search was not answered, or not with 200: names the server, what was found and what to do."""


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
        """`Rerank-Status`, or nothing if no proxy answered."""
        return self.headers.get("rerank-status", "")

    @property
    def stages_ms(self) -> dict[str, float]:
        """Milliseconds of each stage, from `Server-Timing`."""
        return read_server_timing(self.headers.get("server-timing", ""))


class SearchClient:
    """One keep-alive connection to an OpenSearch, or to a proxy in front of one. Not for several threads.

    Args:
        url: its address; a user and password in it are sent.
        timeout_s: longest wait for a connection, and longest silence.
        context: what verifies an https server; None: the system's certificates.
        headers: further ones for every request.
        sign: adds a signature to each request; None: none.

    Raises:
        SearchError: `url` is not a valid address.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 60.0,
        context: ssl.SSLContext | None = None,
        headers: Headers = (),
        sign: Sign | None = None,
    ) -> None:
        self._connection = _open_connection(url, timeout_s, context)
        parts = urlsplit(url)
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/json", **dict(headers), **dict(read_credentials(url))}
        self._sign = sign
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
            self._connection.request(
                method, self._prefix + path, payload, self._sign_headers(method, path, payload)
            )
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            advice = connection_advice(self._shown, error) or "Is it running?"
            raise SearchError(f"no answer from {self._shown}: {str(error).rstrip('.')}. {advice}") from error
        elapsed_ms = (time.perf_counter() - begin) * 1000
        if response.status != http.HTTPStatus.OK:
            reason = _describe_refusal(self._shown, response.status, content)
            raise SearchError(f"{self._shown}{path} answered {response.status}: {reason}")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(_decode(content, self._shown + path), headers, elapsed_ms)

    def _sign_headers(self, method: str, path: str, payload: bytes | None) -> dict[str, str]:
        """Return the headers of a request, with its signature if it needs one."""
        if self._sign is None:
            return self._headers
        url = self._shown + self._prefix + path
        return dict(self._sign(method, url, tuple(self._headers.items()), payload or b""))

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def read_server_timing(header: str) -> dict[str, float]:
    """Read the durations of a `Server-Timing` header: stage -> milliseconds, in its order."""
    found = {}
    for metric in header.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        durations = [part[4:] for part in parameters if _DURATION.fullmatch(part)]
        if name and durations:
            found[name] = float(durations[0])
    return found


def _open_connection(
    url: str, timeout_s: float, context: ssl.SSLContext | None
) -> http.client.HTTPConnection:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or parts.scheme not in ("http", "https"):
        raise SearchError(f"expected an address like http://localhost:9200, found {url.rpartition('@')[2]!r}")
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _decode(content: bytes, shown: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SearchError(f"expected a JSON object from {shown}, found: {error}") from error


def _describe_refusal(shown: str, status: int, content: bytes) -> str:
    """Return why a request was refused, and what to do about it if that is known."""
    reason = _read_reason(content)
    is_denied = status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN)
    advice = DENIED if is_denied else answer_advice(shown, reason)
    return f"{reason.strip().rstrip('.') or 'no reason'}. {advice}" if advice else reason


def _read_reason(content: bytes) -> str:
    """Return the first reason in OpenSearch's error body, or the body's beginning."""
    try:
        error = msgspec.json.decode(content, type=dict[str, Any])["error"]
        return str(error["root_cause"][0]["reason"])
    except (msgspec.MsgspecError, LookupError, TypeError):
        return content[:200].decode("utf-8", "replace")
