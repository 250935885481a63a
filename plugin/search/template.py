"""One `_search/template`: rendered by OpenSearch, then a search like any other."""

from dataclasses import replace

import msgspec
from msgspec import Raw

from opensearch.endpoints import Endpoint
from opensearch.rawjson.filter_path import shows
from opensearch.rawjson.style import detect_style
from opensearch.search.request import SearchRequest
from opensearch.settings.target import Skip
from plugin.http.messages import Request, Response
from plugin.search.handler import MAX_BODY_BYTES, SearchDoor, understood
from plugin.search.template_renderer import TemplateRenderer
from plugin.telemetry.stage_clock import StageClock
from plugin.upstream.client import Upstream

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


class TemplateDoor:
    """Answers searches by template in front of one OpenSearch."""

    def __init__(self, upstream: Upstream, searches: SearchDoor) -> None:
        self._upstream = upstream
        self._searches = searches

    def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one search by template.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        clock = StageClock()
        body = request.stream.read(MAX_BODY_BYTES + 1)
        template = understood(request, body)
        with clock.stage("render"):
            search = template if isinstance(template, Skip) else self._search(request, endpoint, template)
        answer = self._searches.search(request, endpoint.indices, body, search, clock)
        return answer if isinstance(template, Skip) else _with_status(answer, template)

    def _search(self, request: Request, endpoint: Endpoint, template: SearchRequest) -> SearchRequest | Skip:
        path = f"/{endpoint.indices}/_search" if endpoint.indices else "/_search"
        return TemplateRenderer(self._upstream, request).search(template, path)


def _with_status(answer: Response, template: SearchRequest) -> Response:
    """Return a search's answer as one to a template: these end in `status`, which those of `_search` lack."""
    if not isinstance(answer.body, bytes) or not shows(
        template.parameters.get("filter_path", ""), ("status",)
    ):
        return answer
    try:
        top = _OBJECT.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return answer
    if "status" in top:
        return answer
    style = detect_style(answer.body)
    told = {**top, "status": Raw(str(answer.status).encode())}
    return replace(answer, body=bytes(style.object(told, 0)) + style.end)
