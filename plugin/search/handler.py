"""One `_search` from the client's request to the answer: reranked, or passed through with the reason."""

import logging
from dataclasses import replace

from opensearch.endpoints import Endpoint
from opensearch.rawjson.validation import InvalidError
from opensearch.search.plan import Plan
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.response import UnusableResponseError
from opensearch.settings.target import Skip, Target
from plugin.encoding.model import Model
from plugin.errors import RerankFailedError, UpstreamError, error_body
from plugin.http.client_presence import ClientGoneError
from plugin.http.content_coding import decode_body
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import build_redaction, forward_request
from plugin.search.breaker import kind_of
from plugin.search.cluster import ClusterSearch
from plugin.search.page_agreement import PageAgreement
from plugin.search.planner import SearchPlanner
from plugin.search.sidecar import RerankedSearch, refused
from plugin.telemetry.rerank_status import skipped
from plugin.telemetry.stage_clock import StageClock
from plugin.upstream.access import DENIED, may_search
from plugin.upstream.client import StreamedResponse, Upstream

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A longer search is passed through unread."""

_JSON_TYPES = (
    "application/json", "application/vnd.opensearch+json", "application/x-ndjson",
    "application/vnd.opensearch+x-ndjson",
)  # fmt: skip
"""What OpenSearch reads as JSON, one value or lines of it; it refuses a body without a type."""

_OTHER_FORMATS = ("cbor", "smile", "yaml")
"""What an `Accept` names if the answer is not to be JSON; OpenSearch ignores what it does not know."""

_UNSEEN = Skip("not_enabled")
"""What is told whoever may not see an index, whatever it has."""

_log = logging.getLogger("twinrank.search")


class SearchDoor:
    """Answers searches in front of one OpenSearch with one model."""

    def __init__(
        self, upstream: Upstream, planner: SearchPlanner, model: Model, pages: PageAgreement | None = None
    ) -> None:
        self._upstream = upstream
        self._planner = planner
        self._pages = pages or PageAgreement()
        self._reranked = RerankedSearch(upstream, model)
        self._cluster = ClusterSearch(upstream, model)

    def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one search.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        clock = StageClock()
        body = request.stream.read(MAX_BODY_BYTES + 1)
        return self.search(request, endpoint.indices, body, understood(request, body), clock)

    def search(
        self, request: Request, indices: str, body: bytes, search: SearchRequest | Skip, clock: StageClock
    ) -> Response:
        """Answer one search that was read; `body` is what the client sent, which may only stand for it.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        with clock.stage("plan"):
            target = self._planner.target(request, indices, search)
            try:
                plan = self._planner.plan(request, search, target)
            except InvalidError as error:
                return self._own_error(request, indices, body, search, _bad_request(error), clock)
        page = self._pages.page(request, search, target, plan)
        return page.answered(
            self._planned(request, indices, body, target, search, page.followed(plan), clock)
        )

    def _planned(
        self, request: Request, indices: str, body: bytes, target: Target, search: SearchRequest | Skip,
        plan: Plan | Skip, clock: StageClock,
    ) -> Response:  # fmt: skip
        if isinstance(plan, Skip):
            return self._passed_through(request, body, target, search, plan, clock)
        forward = Skip("upstream", plan.request if plan.request != search else None)
        try:
            way = self._cluster if plan.in_cluster else self._reranked
            answer = way.run(request, plan, clock)
        except RerankFailedError as error:  # there is no query vector, and nothing was asked yet
            _log.log(_level_of(error), "search not reranked, reason=%s: %s", error.reason, error)
            if plan.settings.on_failure == "error":
                return self._own_error(request, indices, body, search, refused(error, clock), clock)
            failed = Skip(error.reason, forward.forward)
            return self._passed_through(request, body, target, search, failed, clock)
        except (UnusableResponseError, UpstreamError) as error:
            _log.warning("the widened search failed, so the client's own is sent: %s", error)
            own = self._passed_through(request, body, target, search, forward, clock)
            answer = with_warnings(own, error)
            if answer.status < 400:  # else it is the client's own request that OpenSearch refuses
                self._planner.breaker.failed(kind_of(request, plan.request))
            return answer
        except ClientGoneError:
            raise
        except Exception:  # noqa: BLE001  # the app's edge: a fault of ours must not fail a search
            _log.exception(
                "reranking failed in a way that nobody foresaw, so the client's own search is sent"
            )
            internal = Skip("internal", forward.forward)
            return self._passed_through(request, body, target, search, internal, clock)
        self._planner.breaker.succeeded(kind_of(request, plan.request))
        if answer.status in DENIED:
            return self._denied(request, body, answer, forward, clock)
        return answer

    def _own_error(
        self, request: Request, indices: str, body: bytes, search: SearchRequest | Skip, own: Response,
        clock: StageClock,
    ) -> Response:  # fmt: skip
        """Answer an error of ours to who may search there, and to others what OpenSearch answers."""
        if may_search(self._upstream, request, indices):
            return own
        nothing = Target(_UNSEEN)
        return self._passed_through(request, body, nothing, search, _UNSEEN, clock)

    def _denied(
        self, request: Request, body: bytes, answer: Response, skip: Skip, clock: StageClock
    ) -> Response:
        """Return a refusal; to who may not see the settings either, as for an index that has none."""
        forward = skip.forward  # without `ext.rerank`, of which OpenSearch says something else than of rights
        if answer.status == 403 and forward is not None and not self._shows(request, forward):
            _close(answer)
            answer = forward_request(self._upstream, request, read=body).with_headers(clock.header())
        plain = [header for header in answer.headers if header[0] != "Rerank-Status"]
        return replace(answer, headers=(*plain, ("Rerank-Status", skipped(_UNSEEN.reason))))

    def _shows(self, request: Request, search: SearchRequest) -> bool:
        return self._planner.shows(request, search.path.rpartition("/")[0][1:])

    def _passed_through(
        self,
        request: Request,
        body: bytes,
        target: Target,
        search: SearchRequest | Skip,
        skip: Skip,
        clock: StageClock,
    ) -> Response:
        """Send the client's own search, or what it is without `ext.rerank`, and cut our fields out."""
        with clock.stage("opensearch"):
            answer = forward_request(
                self._upstream,
                request,
                build_redaction(target, search),
                read=body,
                forward=skip.forward,
                may_repeat=True,
            )
        told = answer.with_headers(("Rerank-Status", skipped(skip.reason)), clock.header())
        return self._denied(request, body, told, skip, clock) if answer.status in DENIED else told


def with_warnings(answer: Response, error: Exception) -> Response:
    """Return an answer with the warnings of the one that could not be used, which OpenSearch gives once."""
    warnings = error.warnings if isinstance(error, UnusableResponseError) else ()
    return answer.with_headers(*(header for header in warnings if header not in answer.headers))


def _level_of(error: RerankFailedError) -> int:
    """Return how loud a failure is told beside the search's own line, which has its reason too.

    Under overload a second line for each search would only add to the load.
    """
    return logging.DEBUG if error.reason == "overloaded" else logging.WARNING


def understood(request: Request, body: bytes) -> SearchRequest | Skip:
    """Read a request with the JSON of a search; or return why this version cannot."""
    try:
        return SearchRequest.parse(request.target, plain_json(request, body))
    except NotUnderstoodError as error:
        return Skip(error.reason)


def plain_json(request: Request, body: bytes) -> bytes:
    """Return a request's body as JSON text, unpacked.

    Raises:
        NotUnderstoodError: too long, packed otherwise than by gzip, or JSON is neither sent nor wanted.
    """
    if len(body) > MAX_BODY_BYTES:
        raise NotUnderstoodError("body_size")
    content_type, accept = request.header("content-type").lower(), request.header("accept").lower()
    if body and content_type.partition(";")[0].strip() not in _JSON_TYPES:
        raise NotUnderstoodError("content_type")
    if "json" not in accept and any(name in accept for name in _OTHER_FORMATS):
        raise NotUnderstoodError("accept")
    encoding = request.header("content-encoding").lower()
    if encoding not in ("", "identity", "gzip"):
        raise NotUnderstoodError("content_encoding")
    plain = decode_body(body, "gzip", MAX_BODY_BYTES) if encoding == "gzip" else body
    if plain is None:
        raise NotUnderstoodError("content_encoding")
    return plain


def _close(answer: Response) -> None:
    if isinstance(answer.body, StreamedResponse):
        answer.body.close()


def _bad_request(error: InvalidError) -> Response:
    status = "Rerank-Status", "refused; reason=ext"
    body = error_body(400, "illegal_argument_exception", str(error))
    return Response(400, (("Content-Type", "application/json"), status), body)
