"""Requests to OpenSearch: the one seam where the client library's errors become ours."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any
from urllib.parse import quote, urlsplit

from opensearchpy import OpenSearch
from opensearchpy import exceptions as library

from opensearch.errors import (
    AddressError,
    BusyError,
    ConflictError,
    DeniedError,
    IndexMissingError,
    MissingError,
    RefusedError,
    RequestError,
    TooLargeError,
    UnreachableError,
)
from opensearch.reasons import reason_of

BUSY = frozenset({429, 502, 503, 504})
"""Statuses that say: the same request may succeed later."""

_CONNECTIONS = 4
"""Kept open for threads that ask at once: reading ahead, writing, and a probe."""

NDJSON = {"content-type": "application/x-ndjson"}


class Upstream:
    """One OpenSearch, by its URL. Nothing is retried here: who asks knows whether that is safe.

    Args:
        url: `http://` or `https://`, with user and password where needed, and a path prefix.
        timeout_s: longest wait for an answer.
        headers: sent with every request, such as a caller's own credentials.
        ssl_context: what an https server is verified by; None: the system's certificates.

    Raises:
        AddressError: `url` is no such URL.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 60.0,
        headers: Mapping[str, str] | None = None,
        ssl_context: SSLContext | None = None,
    ) -> None:
        self.url = _shown(url)
        # The library's types say int, but it hands the value to urllib3, which takes fractions.
        self._client = OpenSearch(
            hosts=[url],
            timeout=timeout_s,
            max_retries=0,
            headers=dict(headers or {}),
            pool_maxsize=_CONNECTIONS,
            ssl_context=ssl_context,
        )

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        *,
        params: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  # any JSON answer
        """Send one request and return the decoded answer; `bytes` are sent as they are, as NDJSON.

        Raises:
            RequestError: the subclass that fits; its message says what to do.
        """
        headers = NDJSON if isinstance(body, bytes) else None
        with translated(self.url):
            return self._client.transport.perform_request(
                method, path, params=dict(params or {}), body=body, headers=headers
            )

    def text(self, path: str, body: Mapping[str, Any]) -> str:
        """POST `body`; return the answer as it was written, numbers and escapes as they stand in sources.

        Raises:
            RequestError: the subclass that fits.
        """
        headers = {"content-type": "application/json"}
        with translated(self.url):
            connection = self._client.transport.get_connection()
            answer: str = connection.perform_request(
                "POST", path, None, json.dumps(body).encode(), headers=headers
            )[2]
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def path_of(name: str, *rest: str) -> str:
    """Return the URL path of an index name, alias or pattern, with further segments.

    Raises:
        AddressError: a name that no index has and that would lead to another path.
    """
    if name in ("", ".", ".."):
        raise AddressError(f"expected the name of an index, found {name!r}")
    return "/" + "/".join([quote(name, safe=",*"), *rest])


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn every error of the client library that leaves the block into one of ours.

    Raises:
        RequestError: the subclass that fits.
    """
    try:
        yield
    except library.TransportError as error:
        raise _ours(error, url) from error
    except library.OpenSearchException as error:
        raise RefusedError(
            f"expected OpenSearch's JSON from {url}, found: {error!s:.300}."
            " Check that --upstream names OpenSearch"
        ) from error


def _ours(error: library.TransportError, url: str) -> RequestError:
    if isinstance(error, library.ConnectionTimeout):
        return UnreachableError(f"OpenSearch at {url} did not answer in time: {error.info}")
    if isinstance(error, library.ConnectionError):
        return UnreachableError(
            f"OpenSearch at {url} cannot be reached: {error.info}."
            " Check that it runs (twinrank opensearch status), and --upstream or TWINRANK_UPSTREAM"
        )
    status = int(error.status_code)
    info = error.info if isinstance(error.info, dict) else {}
    reason = reason_of(info.get("error", error.error))
    if status in BUSY:
        return BusyError(f"OpenSearch at {url} is busy ({status}): {reason}")
    if status in (401, 403):
        return DeniedError(
            f"OpenSearch at {url} does not allow this ({status}): {reason}."
            " Give user and password in the URL, https://USER:PASSWORD@HOST:9200, and check the user's rights"
        )
    if status == 409:
        return ConflictError(f"OpenSearch at {url} answered {status}: {reason}")
    if status == 413:
        return TooLargeError(f"OpenSearch at {url} takes no request of that size ({status}): {reason}")
    if status == 404 and "index_not_found" in reason:
        return IndexMissingError(f"{reason}. Create it with: twinrank enable INDEX --field FIELD")
    kind = MissingError if status == 404 else RefusedError
    return kind(f"OpenSearch at {url} answered {status}: {reason}")


def _shown(url: str) -> str:
    """Return the URL without user and password, for messages."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise AddressError(
            f"expected the URL of OpenSearch, such as http://127.0.0.1:9200, found {url.rpartition('@')[2]!r}"
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
