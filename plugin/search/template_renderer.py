"""Has OpenSearch render search templates, as the caller."""

from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.template import RENDER_TARGET, build_rendered_search, render_body
from opensearch.settings.target import Skip
from plugin.http.messages import Request
from plugin.search.sidecar import plain_headers
from plugin.upstream.client import Upstream


class TemplateRenderer:
    """Renders the templates of one request, equal ones once."""

    def __init__(self, upstream: Upstream, request: Request) -> None:
        self._upstream = upstream
        self._headers = plain_headers(request)
        self._rendered: dict[bytes, bytes] = {}

    def search(self, template: SearchRequest, path: str) -> SearchRequest | Skip:
        """Return the search on `path` that a template stands for, or why that cannot be told.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        try:
            body = render_body(template)
            return build_rendered_search(template, path, self._answer(body))
        except NotUnderstoodError as error:
            return Skip(error.reason)

    def _answer(self, body: bytes) -> bytes:
        if body not in self._rendered:
            exchange = self._upstream.exchange("POST", RENDER_TARGET, self._headers, body)
            if exchange.status != 200:  # the client shall have OpenSearch's answer to its own request
                raise NotUnderstoodError("template")
            self._rendered[body] = exchange.body
        return self._rendered[body]
