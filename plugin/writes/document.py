"""One document's write on its way to OpenSearch: `_doc`, `_create` and `_update`."""

from urllib.parse import unquote

import msgspec

from indexer.writes.plan import Sent
from opensearch.endpoints import Api, Endpoint
from opensearch.writes.bulk_lines import MAX_LINE_BYTES
from opensearch.writes.operation import Operation
from opensearch.writes.response import Item, Written, as_json, renumbered
from opensearch.writes.target import WriteTarget
from plugin.http.client_presence import ClientGoneError
from plugin.http.content_coding import decode_body
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import passed_through
from plugin.telemetry.write_counts import written_header
from plugin.upstream.client import Exchange
from plugin.writes.parameters import is_answer_readable, is_pretty, with_parameters
from plugin.writes.session import WriteContext

ROUNDS = 3
"""How often a partial update is merged anew when somebody else was faster; then it goes without a lock."""


class DocumentDoor:
    """Writes one document."""

    def __init__(self, context: WriteContext, request: Request, endpoint: Endpoint) -> None:
        self._context = context
        self._request = request
        self._endpoint = endpoint
        self._is_readable = is_answer_readable(request, context.parameters)

    def answer(self) -> Response:
        """Send the write and return OpenSearch's answer to it.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        target = self._context.target(unquote(self._endpoint.indices))
        if target is None:
            return passed_through(self._context.upstream, self._request)
        body = self._request.stream.read(MAX_LINE_BYTES + 1)
        plain = decode_body(body, "gzip", MAX_LINE_BYTES) if self._is_packed else body
        if plain is None or len(body) > MAX_LINE_BYTES:
            return passed_through(self._context.upstream, self._request, read=body)
        if self._request.content_length is not None and len(body) < self._request.content_length:
            raise ClientGoneError("the client left before it had sent its document")
        self._context.tally.documents += 1
        return self._written(self._operation(plain))

    @property
    def _is_packed(self) -> bool:
        return self._request.header("content-encoding").lower() == "gzip"

    def _operation(self, source: bytes) -> Operation:
        parameters = dict(self._context.parameters) | {"_index": unquote(self._endpoint.indices)}
        if self._endpoint.id is not None:
            parameters["_id"] = unquote(self._endpoint.id)
        action = self._endpoint.api.value
        if self._endpoint.api is Api.INDEX and parameters.get("op_type") == "create":
            action = "create"
        return Operation(action, parameters, b"", source)

    def _written(self, operation: Operation) -> Response:
        number = 0
        while True:
            number += 1
            may_lock = self._is_readable and number < ROUNDS
            batch = self._context.batches().start([operation], may_lock=may_lock)
            [sent], [target] = batch.sent(), batch.targets
            exchange = self._send(operation, sent)
            if sent is None or target is None:  # the index has lost its settings since we looked
                return _answer(exchange, exchange.body, ())
            is_upsert = b"upsert" in (operation.source or b"")
            has_lost = exchange.status == 409 or (exchange.status == 404 and is_upsert)
            if sent.lock is None or not has_lost:
                return self._repaired(operation, sent, target, exchange)

    def _send(self, operation: Operation, sent: Sent | None) -> Exchange:
        lock = None if sent is None else sent.lock
        source = operation.source if sent is None else sent.source
        if source is not operation.source:
            source = (source or b"").removesuffix(b"\n")  # a document is no line
        target = self._request.target
        if lock is not None:
            added = {"if_seq_no": lock.seq_no, "if_primary_term": lock.primary_term}
            target = with_parameters(target, ("retry_on_conflict",), added)
        return self._context.write(self._request.method, target, source or b"")

    def _repaired(
        self, operation: Operation, sent: Sent, target: WriteTarget, exchange: Exchange
    ) -> Response:
        """Give the document its vector after the write where need be, and show its numbers then."""
        item = _item(exchange) if self._is_readable else None
        written = Written(exchange.status, "", "", "") if item is None else Written.of(item, exchange.status)
        body = exchange.body
        is_known = bool(written.id or operation.id)
        if is_known and 200 <= exchange.status < 300 and sent.check.is_due(written.result):
            repair = self._context.repair_of(operation, target, written)
            items = self._context.repair({0: repair}, {0: operation}) if repair else {}
            if item is not None and items:
                changed = renumbered(item, items[0])
                body = as_json(changed, is_pretty=is_pretty(self._context.parameters))
        return _answer(exchange, body, (written_header(self._context.tally),))


def _item(exchange: Exchange) -> Item | None:
    try:
        return msgspec.json.decode(exchange.body, type=Item)
    except msgspec.MsgspecError:
        return None


def _answer(exchange: Exchange, body: bytes, added: tuple[tuple[str, str], ...]) -> Response:
    kept = tuple(header for header in exchange.headers if header[0].lower() != "content-length")
    return Response(exchange.status, (*kept, *added), body, exchange.reason)
