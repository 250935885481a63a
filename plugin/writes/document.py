"""The write of one document: `_doc`, `_create` and `_update`."""

from urllib.parse import unquote

import msgspec

from indexer.writes.pending import PendingWrite
from opensearch.endpoints import Api, Endpoint
from opensearch.writes.bulk_lines import MAX_LINE_BYTES
from opensearch.writes.operation import Operation
from opensearch.writes.response import ResponseItem, WriteResult, encode_json, renumber
from plugin.http.content_coding import decode_body
from plugin.http.messages import Request, Response
from plugin.http.request_context import ClientDisconnectedError
from plugin.passthrough.forward import forward_request
from plugin.telemetry.write_counts import WriteCounts
from plugin.upstream.client import Exchange
from plugin.writes.conflicts import RETRIES, ROUNDS
from plugin.writes.parameters import is_pretty, is_response_readable, with_parameters
from plugin.writes.session import WriteSession


class DocumentHandler:
    """Writes one document."""

    def __init__(self, session: WriteSession, request: Request, endpoint: Endpoint) -> None:
        self._session = session
        self._request = request
        self._endpoint = endpoint
        self._is_readable = is_response_readable(request, session.parameters)

    def answer(self) -> Response:
        """Send the write and return OpenSearch's response to it.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        target = self._session.find_target(unquote(self._endpoint.indices))
        if target is None:
            return forward_request(self._session.upstream, self._request)
        body = self._request.stream.read(MAX_LINE_BYTES + 1)
        plain = decode_body(body, "gzip", MAX_LINE_BYTES) if self._is_packed else body
        if plain is None or len(body) > MAX_LINE_BYTES:
            return forward_request(self._session.upstream, self._request, read=body)
        if self._request.content_length is not None and len(body) < self._request.content_length:
            raise ClientDisconnectedError("the client left before it had sent its document")
        self._session.counts.documents += 1
        return self._write(self._build_operation(plain))

    @property
    def _is_packed(self) -> bool:
        return self._request.header("content-encoding").lower() == "gzip"

    def _build_operation(self, source: bytes) -> Operation:
        parameters = dict(self._session.parameters) | {"_index": unquote(self._endpoint.indices)}
        if self._endpoint.id is not None:
            parameters["_id"] = unquote(self._endpoint.id)
        action = self._endpoint.api.value
        if self._endpoint.api is Api.INDEX and parameters.get("op_type") == "create":
            action = "create"
        return Operation(action, parameters, b"", source)

    def _write(self, operation: Operation) -> Response:
        """Send the write, merged again after a conflict with the proxy's lock."""
        number = 0
        while True:
            number += 1
            may_lock = self._is_readable and number < ROUNDS
            batch = self._session.make_planner().start([operation], may_lock=may_lock)
            batch.build()
            if not batch.pending:  # the index has lost its settings meanwhile
                exchange = self._session.write(
                    self._request.method, self._request.target, operation.source or b""
                )
                return _build_response(exchange, exchange.body)
            [pending] = batch.pending
            exchange = self._send(pending, has_lost=number > 1)
            if not pending.has_lost_lock(exchange.status):
                return self._recheck(pending, exchange)

    def _send(self, pending: PendingWrite, *, has_lost: bool) -> Exchange:
        lock, source = pending.outgoing.lock, pending.outgoing.source
        if source is not pending.operation.source:
            source = (source or b"").removesuffix(b"\n")  # a document is no line
        target = self._request.target
        if lock is not None:
            added = {"if_seq_no": lock.seq_no, "if_primary_term": lock.primary_term}
            target = with_parameters(target, ("retry_on_conflict",), added)
        elif (
            has_lost
            and self._endpoint.api is Api.UPDATE
            and "retry_on_conflict" not in self._session.parameters
        ):
            target = with_parameters(target, (), {"retry_on_conflict": RETRIES})
        return self._session.write(self._request.method, target, source or b"")

    def _recheck(self, pending: PendingWrite, exchange: Exchange) -> Response:
        """Give the document its vector after the write if need be, and show its numbers then."""
        item = _read_item(exchange) if self._is_readable else None
        unknown = WriteResult(exchange.status, "", "", "")
        written = unknown if item is None else WriteResult.read(item, exchange.status)
        body = exchange.body
        is_known = bool(written.id or pending.operation.id)
        is_due = 200 <= exchange.status < 300 and pending.outgoing.recheck.applies_to(written.result)
        if is_known and is_due:
            recheck = self._session.plan_recheck(pending, written)
            items = self._session.recheck({0: recheck}) if recheck else {}
            if item is not None and items:
                changed = renumber(item, items[0])
                body = encode_json(changed, is_pretty=is_pretty(self._session.parameters))
        return _build_response(exchange, body, self._session.counts)


def _read_item(exchange: Exchange) -> ResponseItem | None:
    try:
        return msgspec.json.decode(exchange.body, type=ResponseItem)
    except msgspec.MsgspecError:
        return None


def _build_response(exchange: Exchange, body: bytes, outcome: WriteCounts | None = None) -> Response:
    kept = tuple(header for header in exchange.headers if header[0].lower() != "content-length")
    return Response(exchange.status, kept, body, exchange.reason, outcome)
