"""One bulk: sent to OpenSearch with vectors in it, and answered with OpenSearch's own response.

`answer` calls `_send`, which pulls `_build_blocks` while the request to OpenSearch is open: one batch is
planned while the one before it is encoded. `_finish` then retries what met a conflict with the proxy's lock,
and rechecks documents that may lack a current vector.
"""

from collections.abc import Iterator, Mapping

from indexer.writes.pending import PendingWrite
from opensearch.endpoints import Endpoint
from opensearch.writes.bulk_lines import read_bulk
from opensearch.writes.operation import Operation
from opensearch.writes.response import BulkResponse
from plugin.http.content_coding import change_body, keep_readable_codings
from plugin.http.messages import Request, Response
from plugin.upstream.streamed_response import StreamedResponse
from plugin.writes.batch import Batch, Part
from plugin.writes.bulk_body import MAX_CONTENT_BYTES, BulkBody
from plugin.writes.bulk_retries import BulkRetries
from plugin.writes.parameters import is_pretty, is_response_readable, read_line_defaults
from plugin.writes.session import WriteSession

BATCH_OPERATIONS = 256
BATCH_BYTES = 1_000_000
"""A batch is full at either: enough texts to sort by length, little memory."""

MAX_RESPONSE_BYTES = 64 * 1024 * 1024
"""A longer response is passed on unread."""


class BulkHandler:
    """Writes one bulk."""

    def __init__(self, session: WriteSession, request: Request, endpoint: Endpoint) -> None:
        self._session = session
        self._request = request
        self._parameters = session.parameters
        self._defaults: Mapping[str, str] = read_line_defaults(endpoint, self._parameters)
        self._is_readable = is_response_readable(request, self._parameters)
        self._retries = BulkRetries(session, request)
        self._may_show_documents = "_source" in self._parameters or "_source_includes" in self._parameters

    def answer(self) -> Response:
        """Send the bulk and return OpenSearch's response to it.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        body = BulkBody(self._request)
        try:
            if body.is_unread:
                return self._forward_unread(body)
            streamed = self._send(body, MAX_CONTENT_BYTES - body.num_bytes)
            if (
                streamed.status == 413
                and self._session.counts.documents
                and body.num_bytes <= MAX_CONTENT_BYTES
            ):
                streamed.close()
                streamed = self._send(body, 0)  # a cluster that takes less: vectors come after the write
        finally:
            body.close()
        return self._finish(streamed)

    def _forward_unread(self, body: BulkBody) -> Response:
        """Let OpenSearch answer a body that cannot be unpacked, or is longer than it accepts."""
        streamed = self._session.upstream.stream(
            self._request.method, self._request.target, self._request.headers, body.blocks(), body.sent_bytes
        )
        return Response(streamed.status, streamed.headers, streamed, streamed.reason)

    def _send(self, body: BulkBody, allowance: int) -> StreamedResponse:
        self._retries = BulkRetries(self._session, self._request)
        self._session.counts.documents = 0
        headers = keep_readable_codings(self._request.headers_without("content-encoding", "content-length"))
        blocks = self._build_blocks(body, allowance)
        target = self._request.target
        return self._session.upstream.stream(self._request.method, target, headers, blocks, None)

    def _build_blocks(self, body: BulkBody, allowance: int) -> Iterator[bytes]:
        """Yield the body that OpenSearch gets, batch by batch, growing by at most `allowance` bytes."""
        planner = self._session.make_planner()
        before: Batch | None = None
        for parts in _split_batches(read_bulk(body.blocks(), self._defaults)):
            started = planner.start(parts, may_lock=self._is_readable and self._retries.has_capacity)
            if before is not None:
                block, allowance = self._build_block(before, allowance)
                yield block
            before = started
        if before is not None:
            yield self._build_block(before, allowance)[0]

    def _build_block(self, batch: Batch, allowance: int) -> tuple[bytes, int]:
        """Return the bytes of one batch, and how much more the body may grow."""
        batch.build(may_grow=allowance > 0)
        lines = batch.encode()
        self._may_show_documents |= b'"_source"' in lines
        num_bytes = sum(_count_bytes(part) for part in batch.parts)
        if len(lines) - num_bytes > allowance > 0:
            batch.build(may_grow=False)
            lines = batch.encode()
        for pending in batch.pending:
            self._retries.note(pending)
        return lines, allowance - max(0, len(lines) - num_bytes)

    def _finish(self, streamed: StreamedResponse) -> Response:
        """Return the response, with the items of what was retried or written again after the bulk."""
        counts = self._session.counts
        is_read = self._retries.are_due or self._may_show_documents
        if not is_read or streamed.status != 200:
            outcome = counts if counts.documents else None
            return Response(streamed.status, streamed.headers, streamed, streamed.reason, outcome)
        blocks = iter(streamed)
        content, is_whole = _read(blocks)
        if not is_whole:
            self._retries.repair_known()
            body = _PartlyRead(content, blocks, streamed)
            return Response(streamed.status, streamed.headers, body, streamed.reason, counts)
        streamed.close()
        headers = tuple(header for header in streamed.headers if header[0].lower() != "content-length")
        response = Response(streamed.status, headers, content, streamed.reason, counts)
        settled = change_body(response, self._settle, MAX_RESPONSE_BYTES)
        if settled is None:
            self._retries.repair_known()
        return settled or response

    def _settle(self, content: bytes) -> bytes:
        """Do what is left after the bulk, and return its response with the changed items."""
        try:
            if not self._is_readable:
                raise ValueError("expected the whole response in JSON")
            response = BulkResponse.parse(content)
        except ValueError:
            self._retries.repair_known()
            return content
        is_changed = self._retries.settle(response)
        return response.encode(is_pretty=is_pretty(self._parameters)) if is_changed else content


def _split_batches(parts: Iterator[Operation | bytes]) -> Iterator[list[Operation | bytes]]:
    batch: list[Operation | bytes] = []
    num_bytes = 0
    for part in parts:
        batch.append(part)
        num_bytes += _count_bytes(part)
        if len(batch) >= BATCH_OPERATIONS or num_bytes >= BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


def _count_bytes(part: Part) -> int:
    """Return the number of bytes that a part had when it came."""
    if isinstance(part, bytes):
        return len(part)
    operation = part.operation if isinstance(part, PendingWrite) else part
    return len(operation.line) + len(operation.source or b"")


def _read(blocks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return a response's bytes, up to MAX_RESPONSE_BYTES, and whether that is all of it."""
    read = bytearray()
    for block in blocks:
        read += block
        if len(read) > MAX_RESPONSE_BYTES:
            return bytes(read), False
    return bytes(read), True


class _PartlyRead:
    """A response whose beginning was read."""

    def __init__(self, first: bytes, blocks: Iterator[bytes], streamed: StreamedResponse) -> None:
        self._first, self._blocks, self._streamed = first, blocks, streamed

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        yield from self._blocks

    def close(self) -> None:
        """Release the connection."""
        self._streamed.close()
