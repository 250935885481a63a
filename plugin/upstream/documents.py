"""Stored documents, read as the caller; if a read fails, they are unknown."""

import logging
import socket
from collections.abc import Sequence

from opensearch.writes.documents import DocumentKey, StoredDocument, build_mget_body, read_mget
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream

MAX_READ = 128
"""Documents in one `_mget`: their texts may be long."""

_JSON = ("Content-Type", "application/json")
_log = logging.getLogger("twinrank.writes")

Wanted = tuple[DocumentKey, Sequence[str]]
"""A place and the fields that are wanted of its document."""


def read_documents(
    upstream: Upstream, headers: Headers, wanted: Sequence[Wanted], client: socket.socket | None = None
) -> list[StoredDocument | None]:
    """Return the documents at those places, in order; None for one that could not be looked for.

    `client` is the connection of the client that waits for them; None if they are read in any case.
    """
    found: list[StoredDocument | None] = []
    for start in range(0, len(wanted), MAX_READ):
        found += _read(upstream, headers, wanted[start : start + MAX_READ], client)
    return found


def _read(
    upstream: Upstream, headers: Headers, wanted: Sequence[Wanted], client: socket.socket | None
) -> list[StoredDocument | None]:
    try:
        answer = upstream.exchange(
            "POST", "/_mget", (*headers, _JSON), build_mget_body(wanted), client=client
        )
        if answer.status == 200:
            return read_mget(answer.body)
        problem = f"status {answer.status}: {answer.body[:300]!r}"
    except (UpstreamError, ValueError) as error:
        problem = str(error)
    _log.warning("%d stored documents cannot be read: %s", len(wanted), problem)
    return [None] * len(wanted)
