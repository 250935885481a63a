"""What stands behind the names that are written to, looked up as the caller and kept for a second.

Not in the poller's view, which searches use: a write needs an alias's routing and write index and the ingest
pipelines too, and one answer a second is little beside the encoding. It is forgotten when the poller sees a
change.
"""

import threading
from typing import Final, cast

from cachetools import TTLCache

from opensearch.settings.layers import Defaults
from opensearch.writes.target import (
    WriteTarget,
    existing_path,
    existing_target,
    is_plain_name,
    template_path,
    template_target,
)
from plugin.errors import UpstreamError
from plugin.http.caller import caller, identity
from plugin.http.headers import Headers
from plugin.http.messages import Request
from plugin.upstream.client import Exchange, Upstream

FRESH_S = 1.0
"""How long an answer holds; then a write waits for the next one, about a millisecond."""

MAX_ENTRIES = 10_000

_UNKNOWN: Final = object()
"""What no name stands for: None is a target's own answer."""


class WriteTargets:
    """Looks targets up with the caller's own credentials, one entry a caller and name."""

    def __init__(self, upstream: Upstream, defaults: Defaults) -> None:
        self._upstream = upstream
        self._defaults = defaults
        self._lock = threading.Lock()
        self._kept: TTLCache[tuple[str, Headers], WriteTarget | None] = TTLCache(MAX_ENTRIES, FRESH_S)

    def of(self, request: Request, name: str) -> WriteTarget | None:
        """Return what a name stands for; None where a write to it is no concern of ours.

        That is: an index without valid settings, one that the caller may not look at, a name that OpenSearch
        takes no writes to.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        if not is_plain_name(name) and not name.startswith("<"):
            return None
        key = name, identity(request)
        with self._lock:
            kept = self._kept.get(key, _UNKNOWN)  # one look: an entry may expire between two
        if kept is not _UNKNOWN:
            return cast("WriteTarget | None", kept)
        asked = self.ask(request, name)
        target = _read(asked, name, self._defaults)
        with self._lock:
            self._kept[key] = target
        return target

    def changed(self) -> None:
        """Forget everything: settings have changed, as this worker or its poller has seen."""
        with self._lock:
            self._kept.clear()

    def ask(self, request: Request, name: str) -> tuple[Exchange, bool]:
        """Ask about a name, and about its template where there is no such index: -> answer, and which it is.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        headers = caller(request)
        found = self._upstream.exchange("GET", existing_path(name), headers)
        if found.status != 404:
            return found, True
        return self._upstream.exchange("POST", template_path(name), headers), False


def _read(asked: tuple[Exchange, bool], name: str, defaults: Defaults) -> WriteTarget | None:
    """Return the target that an answer tells of.

    Raises:
        UpstreamError: OpenSearch is too busy to say: a write must not pass for one that is none of ours.
    """
    exchange, is_there = asked
    if exchange.status == 429 or exchange.status >= 500:
        raise UpstreamError(f"expected the settings of {name}, found {exchange.status}. Try again later")
    if exchange.status != 200:
        return None
    read = existing_target if is_there else template_target
    return read(exchange.body, name, defaults)
