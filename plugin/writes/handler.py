"""Handles writes: a bulk, or one document. Writes to other indices are passed through."""

from opensearch.endpoints import Api, Endpoint
from plugin.encoding.model import Model
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import forward_request
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream
from plugin.writes.bulk import BulkHandler
from plugin.writes.document import DocumentHandler
from plugin.writes.enrich import enrich_documents
from plugin.writes.parameters import is_json
from plugin.writes.repairs import Repairer
from plugin.writes.session import WriteSession
from plugin.writes.targets import WriteTargets

WRITES = frozenset({Api.INDEX, Api.CREATE, Api.UPDATE, Api.BULK})
"""The APIs that change a document's text; a delete removes its vector too."""

ENRICH = "/_plugins/_rerank/enrich"


class WriteHandler:
    """Handles writes in front of one OpenSearch with one model."""

    def __init__(self, upstream: Upstream, model: Model, settings: SettingsCache) -> None:
        self._upstream = upstream
        self._model = model
        self._settings = settings
        self._targets = WriteTargets(upstream, settings.defaults)
        settings.add_listener(self._targets.clear)
        self._repairer = Repairer(upstream, model)

    def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one write.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        if not is_json(request):
            return forward_request(self._upstream, request)
        session = self._start_session(request)
        handler = BulkHandler if endpoint.api is Api.BULK else DocumentHandler
        response = handler(session, request, endpoint).answer()
        if session.creates and response.status < 400:
            self._settings.invalidate()  # searches of the new index through this worker know it at once
        return response

    def enrich(self, request: Request) -> Response:
        """Answer documents with documents that carry vectors.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        return enrich_documents(self._start_session(request), request)

    def _start_session(self, request: Request) -> WriteSession:
        """Return what the request's writes share."""
        return WriteSession(self._upstream, request, self._targets, self._model, self._repairer)
