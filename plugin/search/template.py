"""One `_search/template`: rendered by OpenSearch as the caller, then a search like any other."""

from dataclasses import replace

import msgspec
from msgspec import Raw

from opensearch.endpoints import Endpoint
from opensearch.rawjson.filter_path import shows
from opensearch.rawjson.style import detect_style
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.template import RENDER_TARGET, build_rendered_search, render_body
from opensearch.settings.skip import Skip
from plugin.http.messages import Request, Response
from plugin.search.handler import SearchHandler
from plugin.search.request_body import parse_search, read_body
from plugin.search.upstream_exchange import build_headers
from plugin.upstream.client import Upstream

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class TemplateHandler:
    """Answers searches by template in front of one OpenSearch."""

    def __init__(self, upstream: Upstream, searches: SearchHandler) -> None:
        self._upstream = upstream
        self._searches = searches

    def handle(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one search by template.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        body = read_body(request)
        template = parse_search(request, body)
        if isinstance(template, Skip):
            return self._searches.search(request, endpoint.indices, body, template)
        with request.context.stage("render"):
            path = f"/{endpoint.indices}/_search" if endpoint.indices else "/_search"
            search = TemplateRenderer(self._upstream, request).render(template, path)
        return _add_status(self._searches.search(request, endpoint.indices, body, search), template)


class TemplateRenderer:
    """Has OpenSearch render the templates of one request, equal ones once."""

    def __init__(self, upstream: Upstream, request: Request) -> None:
        self._upstream = upstream
        self._headers, self._client = build_headers(request), request.context.client
        self._rendered: dict[bytes, bytes] = {}

    def render(self, template: SearchRequest, path: str) -> SearchRequest | Skip:
        """Return the search on `path` that a template makes, or why there is none.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        try:
            return build_rendered_search(template, path, self._ask(render_body(template)))
        except NotUnderstoodError as error:
            return Skip(error.reason)

    def _ask(self, body: bytes) -> bytes:
        if body not in self._rendered:
            exchange = self._upstream.exchange(
                "POST", RENDER_TARGET, self._headers, body, client=self._client
            )
            if exchange.status != 200:  # the client gets OpenSearch's answer to its own request
                raise NotUnderstoodError("template")
            self._rendered[body] = exchange.body
        return self._rendered[body]


def _add_status(response: Response, template: SearchRequest) -> Response:
    """Return a search's answer as one to a template: these end in `status`, which those of `_search` lack."""
    if not isinstance(response.body, bytes) or not shows(
        template.parameters.get("filter_path", ""), ("status",)
    ):
        return response
    try:
        top = _OBJECT.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return response
    if "status" in top:
        return response
    style = detect_style(response.body)
    members = {**top, "status": Raw(str(response.status).encode())}
    return replace(response, body=bytes(style.object(members, 0)) + style.end)
