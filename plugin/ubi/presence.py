"""Whether OpenSearch has the UBI plugin, which then records the searches that are passed through."""

import time
from collections.abc import Callable

import msgspec

from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream

PLUGIN = "opensearch-ubi"
FRESH_S = 60.0
"""How long an answer holds: plugins come and go with a restart of OpenSearch."""

_LIST = "/_cat/plugins?format=json&h=component"
_PROBE = b'{"size":0,"ext":{"ubi":{"query_id":[]}}}'
"""Refused in any case: by the plugin for its type, without the plugin as an unknown extension."""
_UNKNOWN = b"SearchExtBuilder"
_JSON = ("Content-Type", "application/json")


class _CatRow(msgspec.Struct):
    component: str = ""


_ROWS = msgspec.json.Decoder(list[_CatRow])


class PluginPresence:
    """Remembers whether the plugin is there; until OpenSearch has said so it is not."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._due_s = float("-inf")
        self.is_present = False

    def refresh(self, headers: Headers) -> None:
        """Ask OpenSearch, in the name of these headers, unless it was asked a minute ago."""
        if self._clock() < self._due_s:
            return
        self._due_s = self._clock() + FRESH_S
        try:
            found = self._list(headers)
            found = self._probe(headers) if found is None else found
        except UpstreamError:
            return
        self.is_present = self.is_present if found is None else found

    def learn_from(self, refusal: bytes) -> bool:
        """Learn from the body of a 400 to a search with `ext.ubi`; return whether the plugin is not there."""
        if _UNKNOWN not in refusal or b"ubi" not in refusal:
            return False
        self.is_present = False
        return True

    def _list(self, headers: Headers) -> bool | None:
        """Return whether the plugin is in the list of plugins; None if the list is not shown."""
        answer = self._upstream.exchange("GET", _LIST, headers)
        if answer.status != 200:
            return None
        try:
            return any(row.component == PLUGIN for row in _ROWS.decode(answer.body))
        except msgspec.DecodeError:
            return None

    def _probe(self, headers: Headers) -> bool | None:
        """Return whether `ext.ubi` is known; None if OpenSearch does not say."""
        answer = self._upstream.exchange("POST", "/_search", (*headers, _JSON), _PROBE)
        return None if answer.status != 400 else _UNKNOWN not in answer.body
