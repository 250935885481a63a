"""Records searches with `ext.ubi`: takes the key out before they are planned, and reads their answers."""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import msgspec
from msgspec import Raw

from opensearch.rawjson.filter_path import shows
from opensearch.search.ext import take_controls
from opensearch.search.msearch import DEPTH_OF_AN_ITEM
from opensearch.search.request import NotUnderstoodError, SearchRequest
from plugin.http.caller import select_identity
from plugin.http.headers import Headers, read_credentials
from plugin.http.messages import Request, Response
from plugin.telemetry.outcome import SearchOutcome
from plugin.ubi.answered_page import rewrite_page
from plugin.ubi.object_ids import ObjectIds, request_ids
from plugin.ubi.parameters import UBI, UbiParameters, read_parameters, take_ubi
from plugin.ubi.presence import PluginPresence
from plugin.ubi.record import RecordingOptions, build_record
from plugin.ubi.record_queue import RecordQueue
from plugin.ubi.record_target import DataPrepperTarget, IndexTarget, RecordTarget
from plugin.ubi.writer import RecordWriter
from plugin.upstream.client import Upstream
from plugin.upstream.connecting import Connecting

_AUTHENTICATING = frozenset({
    "authorization", "cookie", "opendistro_security_impersonate_as", "x-proxy-roles", "x-proxy-user",
})  # fmt: skip


_log = logging.getLogger("twinrank.ubi")

DATA_PREPPER_PATH = "/log/ingest"
"""Where Data Prepper's `http` source listens, unless it is told otherwise."""

Defer = Callable[[Callable[[], Mapping[str, str]], Callable[[Mapping[str, str]], None]], None]
"""Has attributes computed after the answer, and hands them, or none, to the second argument."""

_FAULTS = (
    msgspec.MsgspecError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What an answer or an `ext.ubi` of a form that nobody foresaw may raise, or a thread that cannot start."""

MAX_ERROR_BYTES = 200
"""An error begins with its name; nothing is lost if one is not recorded."""


@dataclass(frozen=True)
class RecordedSearch:
    """A search with `ext.ubi`.

    Attributes:
        parameters: its `ext.ubi`.
        query_id: given by the client, or made.
        asked: as the client wrote it.
        plain: without `ext.ubi`.
        sent: without `ext.ubi`, and with what names the hits; this one is planned.
        ids: what names the hits, and is cut out again.
        is_left_to_plugin: whether the plugin records the client's own bytes, so that they are sent as they
            came if the search is not reranked.
    """

    parameters: UbiParameters
    query_id: str
    asked: SearchRequest
    plain: SearchRequest
    sent: SearchRequest
    ids: ObjectIds
    is_left_to_plugin: bool

    def choose_forward(self, forward: SearchRequest | None) -> SearchRequest | None:
        """Return what is sent if the search is not reranked; `forward` is the same for what is planned."""
        if not self.is_left_to_plugin:
            return forward or self.sent
        return None if forward is None else self.asked.with_body(take_controls(dict(self.asked.body))[1])

    @property
    def asks_for_ids(self) -> bool:
        """Whether what is sent asks for more than the client does."""
        return not self.is_left_to_plugin and self.ids.changes_request

    def drop_ids(self, forward: SearchRequest) -> "tuple[RecordedSearch, SearchRequest]":
        """Return the search and what is sent without what names the hits, which OpenSearch may refuse."""
        body = {name: raw for name, raw in forward.body.items() if name != "fields"}
        if "fields" in self.plain.body:
            body["fields"] = self.plain.body["fields"]
        bare = SearchRequest(forward.path, self.plain.parameters, body)
        return replace(self, sent=self.plain, ids=ObjectIds(self.ids.field)), bare


class UbiRecorder:
    """Records the searches of one worker.

    Args:
        queue: where records wait.
        writer: what writes them.
        presence: whether OpenSearch has the plugin.
        options: what is recorded.
    """

    def __init__(
        self, queue: RecordQueue, writer: RecordWriter, presence: PluginPresence, options: RecordingOptions
    ) -> None:
        self._queue, self._writer, self._presence = queue, writer, presence
        self._options = options
        self.on_stop: Callable[[], None] = lambda: None

    @property
    def on_result(self) -> Callable[[str, int], None]:
        """Is called with what was done with records, and how many."""
        return self._writer.on_result

    @on_result.setter
    def on_result(self, report: Callable[[str, int], None]) -> None:
        self._writer.on_result = report

    def stop(self) -> None:
        """Write what waits, and stop; `on_stop` hands over what is still computed for a record."""
        self.on_stop()
        self._writer.stop()

    def take(self, asked: SearchRequest) -> RecordedSearch | None:
        """Return what is recorded of a search; None if it has no `ext.ubi`, or if nothing is recorded.

        Raises:
            InvalidError: its `ext.ubi` is not what it must be.
        """
        if not self._options.is_on:
            return None
        ubi, plain = take_ubi(asked)
        if ubi is None:
            return None
        self._writer.start()
        parameters = read_parameters(ubi)
        try:
            ids, sent = request_ids(plain, parameters.object_id_field)
        except (msgspec.DecodeError, RecursionError):  # OpenSearch's own parser says what it thinks of it
            ids, sent = ObjectIds(), plain
        query_id = parameters.query_id or str(uuid.uuid4())
        is_left = self._presence.is_present
        return RecordedSearch(parameters, query_id, asked, plain, sent, ids, is_left)

    def take_back(self, search: RecordedSearch, refusal: bytes) -> RecordedSearch | None:
        """Return a search that was left to the plugin, to be recorded here, if its 400 says there is none."""
        if not search.is_left_to_plugin or not self._presence.learn_from(refusal):
            return None
        return replace(search, is_left_to_plugin=False)

    def record_response(
        self, request: Request, search: RecordedSearch, response: Response, *, defer: Defer | None = None
    ) -> Response:
        """Record a search that the plugin does not, and return its answer with the `query_id`.

        `defer` computes what the outcome leaves for later; without it that is not recorded.
        """
        outcome = response.outcome
        if response.status != 200 or not isinstance(outcome, SearchOutcome):
            return response
        if not isinstance(response.body, bytes):
            self._writer.record_loss("unreadable")
            return response
        shows_ext = shows(search.asked.parameters.get("filter_path", ""), ("ext", UBI, "query_id"))
        body = self._record(request, search, response.body, outcome, query_id=shows_ext, defer=defer)
        return replace(response, body=body)

    def record_unread(self, count: int) -> None:
        """Count searches whose answers cannot be told apart, so that they are not recorded."""
        self._writer.record_loss("unreadable", count)

    def record_item(
        self,
        request: Request,
        search: RecordedSearch,
        raw: Raw,
        outcome: SearchOutcome,
        *,
        defer: Defer | None = None,
    ) -> Raw:
        """Record one of several searches, and return its part of the answer, without a `query_id`.

        `defer` is as in `record_response`.
        """
        return Raw(self._record(request, search, bytes(raw), outcome, within=DEPTH_OF_AN_ITEM, defer=defer))

    def _record(
        self,
        request: Request,
        search: RecordedSearch,
        body: bytes,
        outcome: SearchOutcome,
        *,
        query_id: bool = False,
        within: int = 0,
        defer: Defer | None = None,
    ) -> bytes:
        """Record a search, and return its answer as the client is to see it."""
        try:
            found = rewrite_page(body, search.ids, search.query_id if query_id else None, within)
            if found is not None:
                self._queue_record(request, search, found[1], outcome, defer)
                return found[0]
        except _FAULTS:  # which must not fail a search
            _log.exception("unexpected error while a search was recorded")
        if b'"error"' not in body[:MAX_ERROR_BYTES]:
            self._writer.record_loss("unreadable")
        return body

    def _queue_record(
        self,
        request: Request,
        search: RecordedSearch,
        hit_ids: list[str],
        outcome: SearchOutcome,
        defer: Defer | None,
    ) -> None:
        query, start = search.asked.encode_body().decode("utf-8", "replace"), _read_start(search.plain)
        record = build_record(
            search.parameters, search.query_id, hit_ids, query, start, outcome, self._options
        )
        identity = () if self._writer.is_service else _select_login(request)

        def put(further: Mapping[str, str]) -> None:
            record.query_attributes.update(further)
            if not self._queue.put(record, identity):
                self._writer.record_loss("full")

        if defer is None or outcome.deferred is None:
            put({})
        else:
            defer(outcome.deferred, put)


def _read_start(search: SearchRequest) -> int:
    """Return a search's `from`, 0 if it is none that OpenSearch takes."""
    try:
        return search.from_
    except NotUnderstoodError:
        return 0


def _select_login(request: Request) -> Headers:
    """Return the headers that name a request's caller; none without a login, whatever address it has."""
    identity = select_identity(request)
    has_login = any(name.lower() in _AUTHENTICATING for name, _ in identity)
    return identity if has_login else ()


def create_recorder(upstream: Upstream, connecting: Connecting, options: RecordingOptions) -> UbiRecorder:
    """Return a recorder that writes as the service account, or as its callers if there is none."""
    queue, presence = RecordQueue(), PluginPresence(upstream)
    headers = connecting.credentials
    is_service = bool(headers) or connecting.aws_region is not None or options.sink is not None
    target: RecordTarget = IndexTarget(upstream) if options.sink is None else _open_sink(options.sink)
    writer = RecordWriter(target, queue, presence, headers, is_service=is_service)
    return UbiRecorder(queue, writer, presence, options)


def _open_sink(url: str) -> DataPrepperTarget:
    """Return the Data Prepper at a URL, which may hold user and password.

    Raises:
        ValueError: it is no http or https URL with a host.
    """
    parts = urlsplit(url)
    host = Upstream(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}")
    return DataPrepperTarget(host, parts.path or DATA_PREPPER_PATH, read_credentials(url))
