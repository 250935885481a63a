"""The lab's endpoints: its page on the folder `/_plugins/_rerank/` itself, its files and data below `lab/`.

Every request for data goes to OpenSearch as the browser's user. A 401 has a `WWW-Authenticate` header, so
that the browser asks for user and password.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import flask
import msgspec

from opensearch.client import OpenSearchClient, index_path
from opensearch.rawjson.validation import InvalidError
from plugin.admin.responses import JSON, build_response, read_body_object
from plugin.encoding.model import Model
from plugin.http.caller import select_caller_headers
from plugin.http.headers import Headers
from plugin.http.messages import Request
from plugin.lab.index_facts import describe_index, list_indices
from plugin.lab.orders import compare_orders
from plugin.lab.page_files import PAGE, build_file_response
from plugin.lab.question import BodyTextError, read_question
from plugin.search.explain import search_handler
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream


@dataclass(frozen=True)
class LabViews:
    """The endpoints in front of one OpenSearch."""

    upstream: Upstream
    model: Model
    cache: SettingsCache

    def register(self, app: flask.Flask, prefix: str) -> None:
        """Add the endpoints to an app, which has the handlers of OpenSearch's errors already."""
        app.add_url_rule(prefix, "lab", lambda: build_file_response(PAGE))
        app.add_url_rule(f"{prefix}compare", "compare", self.redirect)
        app.add_url_rule(f"{prefix}lab/<name>", "lab file", build_file_response)
        app.add_url_rule(f"{prefix}lab/indices", "lab indices", self.indices)
        app.add_url_rule(f"{prefix}lab/indices/<index>", "lab index", self.index)
        app.add_url_rule(f"{prefix}lab/search/<index>", "lab search", self.search, methods=["POST"])
        app.register_error_handler(BodyTextError, _build_body_error)
        app.register_error_handler(InvalidError, _build_body_error)

    def redirect(self) -> flask.Response:
        """Lead from the page's former address to the present one, with the search in it."""
        query = flask.request.query_string.decode("latin-1")
        response = flask.Response(status=302)
        response.headers["Location"] = f"./?{query}" if query else "./"
        response.autocorrect_location_header = False
        return response

    def indices(self) -> flask.Response:
        """The indices that are set up for reranking."""
        with self._open_client() as client:
            return _unstored(build_response(list_indices(client)))

    def index(self, index: str) -> flask.Response:
        """One index's coverage, settings and text fields."""
        with self._open_client() as client:
            target = self.cache.find_target_as(index_path(index)[1:], _read_caller_headers())
            return _unstored(build_response(describe_index(client, index, target, self.model.fusion)))

    def search(self, index: str) -> flask.Response:
        """One search in both orders."""
        question = read_question(read_body_object())
        handler = search_handler(self.upstream, self.cache, self.model)
        found = compare_orders(handler, self.cache, _read_caller_headers(), index, question)
        return _unstored(build_response(found))

    @contextmanager
    def _open_client(self) -> Iterator[OpenSearchClient]:
        with closing(self.upstream.client(dict(_read_caller_headers()))) as client:
            yield client


def _read_caller_headers() -> Headers:
    return select_caller_headers(Request.from_environ(flask.request.environ))


def _unstored(response: flask.Response) -> flask.Response:
    response.headers["Cache-Control"] = "no-store"
    return response


def _build_body_error(error: BodyTextError | InvalidError) -> flask.Response:
    """Return an error in OpenSearch's shape, with line and column as OpenSearch has them."""
    cause: dict[str, object] = {"type": "parsing_exception", "reason": str(error)}
    if isinstance(error, BodyTextError) and error.line is not None:
        cause |= {"line": error.line, "col": error.column}
    body = {"error": {"root_cause": [cause], **cause}, "status": 400}
    return flask.Response(msgspec.json.encode(body), 400, content_type=JSON)
