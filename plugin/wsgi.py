"""The WSGI application: OpenSearch's own API is answered here, our own endpoints by the Flask app.

A route through Flask costs a request about 0.45 ms, most of what passing it through costs in all, so what is
OpenSearch's own API never reaches it. Requests are told apart by their raw path.
"""

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from opensearch.endpoints import endpoint
from plugin.app import JSON, OWN_PREFIX, create_app
from plugin.errors import UpstreamError, error_body
from plugin.http_messages import Answer, Environ, Request
from plugin.model import Model
from plugin.passthrough import passed_through
from plugin.search_door import SearchDoor
from plugin.settings_cache import SettingsCache
from plugin.upstream import Upstream
from plugin.write_door import ENRICH, WRITES, WriteDoor

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

_log = logging.getLogger("twinrank")

_SEARCH_METHODS = frozenset({"GET", "POST"})


class Proxy:
    """The proxy in front of one OpenSearch."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._door = SearchDoor(upstream, SettingsCache(upstream), model)
        self._writes = WriteDoor(upstream, model)
        self._own = create_app(upstream, model)

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        request = Request.from_environ(environ)
        is_enrich = request.path == ENRICH and request.method == "POST"
        if request.path.startswith(OWN_PREFIX) and not is_enrich:
            return self._own(environ, start_response)
        try:
            answer = self._answer(request)
        except UpstreamError as error:
            _log.warning("%s", error)
            answer = _error(error)
        return _sent(answer, start_response)

    def _answer(self, request: Request) -> Answer:
        if request.path == ENRICH:
            return self._writes.enrich(request)
        if _is_search(request):
            return self._door.answer(request)
        written = endpoint(request.method, request.path)
        if written is not None and written.api in WRITES:
            return self._writes.answer(request, written)
        return passed_through(self._upstream, request)


def _sent(answer: Answer, start_response: "StartResponse") -> Iterable[bytes]:
    if isinstance(answer.body, bytes):
        length = "Content-Length", str(len(answer.body))
        start_response(answer.status_line, [*answer.headers, length])
        return [answer.body]
    start_response(answer.status_line, list(answer.headers))
    return answer.body


def _error(error: UpstreamError) -> Answer:
    headers = (("Content-Type", JSON),)
    return Answer(error.status, headers, error_body(error.status, error.type_name, str(error)))


def _is_search(request: Request) -> bool:
    """`/_search` or `/INDICES/_search`, by the raw path, so that an encoded slash stays part of a name."""
    indices, slash, last = request.path.rpartition("/")
    is_index = indices == "" or (indices.startswith("/") and "/" not in indices[1:] and indices != "/")
    return last == "_search" and is_index and bool(slash) and request.method in _SEARCH_METHODS
