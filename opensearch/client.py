"""Requests to OpenSearch, whose errors become this package's own."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ssl import CERT_NONE, SSLContext
from typing import Any
from urllib.parse import quote, urlsplit

from opensearchpy import OpenSearch
from opensearchpy import exceptions as library
from urllib3 import disable_warnings
from urllib3.exceptions import InsecureRequestWarning

from opensearch.connection_advice import DENIED, answer_advice, connection_advice
from opensearch.credentials import basic_authorization, url_without_credentials
from opensearch.errors import (
    AddressError,
    BlockedError,
    BusyError,
    ConflictError,
    DeniedError,
    IndexMissingError,
    MissingError,
    RefusedError,
    RequestError,
    TooLargeError,
    UnreachableError,
    read_reason,
)

BUSY = frozenset({429, 502, 503, 504})
"""Statuses that say: the same request may succeed later."""

_CONNECTIONS = 4
"""Kept open for threads that ask at once: reading ahead, writing, and a probe."""

NDJSON = {"content-type": "application/x-ndjson"}

Sign = Callable[[str, str, bytes | None], Mapping[str, str]]
"""Takes method, whole URL and body of a request, and returns the headers of its signature."""


class OpenSearchClient:
    """One OpenSearch, by its URL. It retries nothing: the caller knows whether that is safe.

    Args:
        url: `http://` or `https://`, with user and password if needed, and a path prefix.
        timeout_s: longest wait for a response.
        headers: sent with every request, such as a caller's own credentials.
        ssl_context: verifies an https server; None: the system's certificates do.
        sign: signs each request that has no `Authorization`; None: nothing is signed.

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
        sign: Sign | None = None,
    ) -> None:
        self.url = _check_url(url)
        sent = {**_authorization_header(url), **(headers or {})}
        if any(name.lower() == "authorization" for name in sent):
            sign = None  # a caller's own credentials are sent as they are
        if ssl_context is not None and ssl_context.verify_mode is CERT_NONE:
            disable_warnings(InsecureRequestWarning)  # one for each request; --insecure has its own warning
        # The library's types say int, but it hands the value to urllib3, which takes fractions.
        self._client = OpenSearch(
            hosts=[self.url],  # the library would send user and password as Latin-1
            timeout=timeout_s,
            max_retries=0,
            headers=sent,
            pool_maxsize=_CONNECTIONS,
            ssl_context=ssl_context,
            http_auth=sign,
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
        with translate_errors(self.url):
            return self._client.transport.perform_request(
                method, path, params=dict(params or {}), body=body, headers=headers
            )

    def request_text(self, path: str, body: Mapping[str, Any]) -> str:
        """POST `body` and return the response as it was written, with its numbers and escapes unchanged.

        Raises:
            RequestError: the subclass that fits.
        """
        headers = {"content-type": "application/json"}
        with translate_errors(self.url):
            connection = self._client.transport.get_connection()
            answer: str = connection.perform_request(
                "POST", path, None, json.dumps(body).encode(), headers=headers
            )[2]
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def index_path(name: str, *rest: str) -> str:
    """Return the URL path of an index name, alias or pattern, with further segments.

    Raises:
        AddressError: a name that no index can have and that leads to another path.
    """
    if name in ("", ".", ".."):
        raise AddressError(f"expected the name of an index, found {name!r}")
    return "/" + "/".join([quote(name, safe=",*"), *rest])


@contextmanager
def translate_errors(url: str) -> Iterator[None]:
    """Turn every error of the client library that leaves the block into one of this package.

    Raises:
        RequestError: the subclass that fits.
    """
    try:
        yield
    except library.TransportError as error:
        raise _translate(error, url) from error
    except library.OpenSearchException as error:
        raise RefusedError(
            f"expected OpenSearch's JSON from {url}, found: {error!s:.300}."
            " Check that --upstream names OpenSearch"
        ) from error


def _translate(error: library.TransportError, url: str) -> RequestError:
    if isinstance(error, library.ConnectionTimeout):
        return UnreachableError(f"OpenSearch at {url} did not answer in time: {error.info}")
    if isinstance(error, library.ConnectionError):
        advice = connection_advice(url, error) or (
            "Check that it runs (twinrank opensearch status), and --upstream or TWINRANK_UPSTREAM"
        )
        return UnreachableError(
            f"OpenSearch at {url} cannot be reached: {_end_sentence(error.info)} {advice}"
        )
    status = int(error.status_code)
    info = error.info if isinstance(error.info, dict) else {}
    reason = read_reason(info.get("error", error.error))
    if status in BUSY:
        return BusyError(f"OpenSearch at {url} is busy ({status}): {reason}")
    if status == 403 and "cluster_block_exception" in reason:
        return BlockedError(
            f"OpenSearch at {url} takes no such request ({status}): {reason}."
            ' Lift the block, as with PUT /INDEX/_settings {"index.blocks.read_only": null}'
        )
    if status in (401, 403):
        return DeniedError(
            f"OpenSearch at {url} does not allow this ({status}): {_end_sentence(reason)} {DENIED}", status
        )
    if status == 409:
        return ConflictError(f"OpenSearch at {url} answered {status}: {reason}")
    if status == 413:
        return TooLargeError(f"OpenSearch at {url} takes no request of that size ({status}): {reason}")
    if status == 404 and "index_not_found" in reason:
        return IndexMissingError(f"{reason}. Create it with: twinrank enable INDEX --field FIELD")
    if for_tls := answer_advice(url, str(error.error)):
        return UnreachableError(f"OpenSearch at {url} answered {status} to plain HTTP. {for_tls}")
    kind = MissingError if status == 404 else RefusedError
    return kind(f"OpenSearch at {url} answered {status}: {reason}")


def _end_sentence(words: object) -> str:
    return str(words).rstrip(".") + "."


def _authorization_header(url: str) -> dict[str, str]:
    value = basic_authorization(url)
    return {} if value is None else {"authorization": value}


def _check_url(url: str) -> str:
    """Check the URL, and return it without user and password, for messages.

    Raises:
        AddressError: it is no URL of an OpenSearch.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise AddressError(
            f"expected the URL of OpenSearch, such as http://127.0.0.1:9200, found {url.rpartition('@')[2]!r}"
        )
    return url_without_credentials(url)
