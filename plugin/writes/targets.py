"""The indices behind the names that are written to, looked up as the caller and kept for a second.

The poller's view, which searches use, is not enough: a write needs an alias's routing and write index and the
ingest pipelines too, and one request a second costs little beside the encoding. Everything is forgotten when
the poller sees a change.
"""

import threading
from typing import Final, cast

from cachetools import TTLCache

from opensearch.settings.layers import Defaults
from opensearch.writes.target import (
    WriteTarget,
    existing_path,
    is_plain_name,
    read_existing_target,
    read_template_target,
    template_path,
)
from plugin.errors import UpstreamError
from plugin.http.caller import select_caller_headers, select_identity
from plugin.http.headers import Headers
from plugin.http.messages import Request
from plugin.upstream.client import Exchange, Upstream

FRESH_S = 1.0
"""How long an entry is used; then a write waits for a new one, about a millisecond."""

MAX_ENTRIES = 10_000

_UNKNOWN: Final = object()
"""Marks a name that is not in the cache: None is a valid entry."""


class WriteTargets:
    """Looks targets up with the caller's own credentials, one entry a caller and name."""

    def __init__(self, upstream: Upstream, defaults: Defaults) -> None:
        self._upstream = upstream
        self._defaults = defaults
        self._lock = threading.Lock()
        self._kept: TTLCache[tuple[str, Headers], WriteTarget | None] = TTLCache(MAX_ENTRIES, FRESH_S)

    def find(self, request: Request, name: str) -> WriteTarget | None:
        """Return the index behind a name; None if it is not enabled for reranking.

        None stands for an index without valid settings, one that the caller may not see, and a name that
        OpenSearch does not write to.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        if not is_plain_name(name) and not name.startswith("<"):
            return None
        key = name, select_identity(request)
        with self._lock:
            kept = self._kept.get(key, _UNKNOWN)  # one look: an entry may expire between two
        if kept is not _UNKNOWN:
            return cast("WriteTarget | None", kept)
        asked = self.ask_about(request, name)
        target = _read(asked, name, self._defaults)
        with self._lock:
            self._kept[key] = target
        return target

    def clear(self) -> None:
        """Forget everything, since settings have changed."""
        with self._lock:
            self._kept.clear()

    def ask_about(self, request: Request, name: str) -> tuple[Exchange, bool]:
        """Ask about an index, and if there is none about its template.

        Returns the response, and whether there is such an index.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        headers = select_caller_headers(request)
        found = self._upstream.exchange("GET", existing_path(name), headers)
        if found.status != 404:
            return found, True
        return self._upstream.exchange("POST", template_path(name), headers), False


def _read(asked: tuple[Exchange, bool], name: str, defaults: Defaults) -> WriteTarget | None:
    """Read the target from a response.

    Raises:
        UpstreamError: OpenSearch is too busy to answer: the index may be enabled for reranking.
    """
    exchange, is_there = asked
    if exchange.status == 429 or exchange.status >= 500:
        raise UpstreamError(f"expected the settings of {name}, found {exchange.status}. Try again later")
    if exchange.status != 200:
        return None
    read = read_existing_target if is_there else read_template_target
    return read(exchange.body, name, defaults)
