"""The WSGI layer in front of the Flask app: what is neither search nor ours never reaches Flask.

A Flask route costs as much as the whole pass through, so requests are told apart here by their raw path.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from plugin.app import OWN_PREFIX, create_app, error_response
from plugin.errors import UpstreamError
from plugin.http_messages import Answer, Environ, Request
from plugin.model import Model
from plugin.passthrough import passed_through
from plugin.search_door import SearchDoor
from plugin.settings_cache import SettingsCache
from plugin.upstream import Upstream

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

_SEARCH_METHODS = frozenset({"GET", "POST"})


class Proxy:
    """The WSGI application: searches and own endpoints to Flask, everything else straight to OpenSearch."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._app = create_app(SearchDoor(upstream, SettingsCache(upstream), model), upstream, model)

    def __call__(self, environ: Environ, start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        request = Request.from_environ(environ)
        if _is_search(request) or request.path.startswith(OWN_PREFIX):
            return self._app(environ, start_response)
        try:
            answer = passed_through(self._upstream, request)
        except UpstreamError as error:
            return error_response(error.status, error.type_name, str(error))(environ, start_response)
        return _send(answer, start_response)


def _is_search(request: Request) -> bool:
    """`/_search` or `/INDICES/_search`, by the raw path, so that an encoded slash stays part of a name."""
    indices, slash, last = request.path.rpartition("/")
    is_index = indices == "" or (indices.startswith("/") and "/" not in indices[1:] and indices != "/")
    return last == "_search" and is_index and bool(slash) and request.method in _SEARCH_METHODS


def _send(answer: Answer, start_response: "StartResponse") -> Iterable[bytes]:
    start_response(answer.status_line, list(answer.headers))
    return [answer.body] if isinstance(answer.body, bytes) else answer.body
