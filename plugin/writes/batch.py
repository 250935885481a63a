"""Some operations of one request: looked up, planned, encoded, and written out as OpenSearch takes them.

`BatchPlanner.start` -> `Batch.build`: between the two the encoder works, and the next batch can be started.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from indexer.errors import DocumentError
from indexer.writes.index_plan import plan_index
from indexer.writes.pending import PendingWrite
from indexer.writes.texts import EncodedVectors, Text, TextKey, group_texts
from indexer.writes.update_plan import plan_update
from opensearch.rawjson.members import JsonObjectError
from opensearch.writes.documents import DocumentKey, StoredDocument
from opensearch.writes.operation import Operation
from opensearch.writes.target import WriteTarget
from opensearch.writes.update import UpdateBody, touches
from plugin.encoding.encoder_slot import EncoderSlot
from plugin.encoding.model import Model
from plugin.http.caller import select_caller_headers
from plugin.http.messages import Request
from plugin.telemetry.write_counts import WriteCounts
from plugin.upstream.client import Upstream
from plugin.upstream.documents import Wanted, read_documents

_log = logging.getLogger("twinrank.writes")

Part = bytes | Operation | PendingWrite
"""Bytes that are no operation, an operation that goes as it came, and one that may get vectors."""

Encoding = Future[dict[int, bytes | None]]


@dataclass
class Batch:
    """Parts of one request's body, in order, with the vectors that are known and those on their way."""

    parts: list[Part]
    known: dict[TextKey, bytes | None] = field(default_factory=dict)
    encodings: list[tuple[str, Encoding]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pending = [part for part in self.parts if isinstance(part, PendingWrite)]

    def build(self, *, may_grow: bool = True) -> None:
        """Wait for the encoder, and make every outgoing write; without vectors if the body may not grow."""
        vectors = dict(self.known)
        for model, encoding in self.encodings:
            vectors |= {(model, hashed): packed for hashed, packed in encoding.result().items()}
        for pending in self.pending:
            _build(pending, vectors if may_grow else None)

    def encode(self, *, retries: int = 0) -> bytes:
        """Return the batch as the part of a bulk's body that OpenSearch gets.

        Args:
            retries: how often OpenSearch merges an update without a lock again, unless the client says.
        """
        lines: list[bytes] = []
        for part in self.parts:
            if isinstance(part, bytes):
                lines.append(part)
            elif isinstance(part, Operation):
                lines += (part.line, part.source or b"")
            else:
                lines += part.encode(retries)
        return b"".join(lines)


class BatchPlanner:
    """Plans the batches of one request, one after the other.

    Args:
        upstream: the OpenSearch.
        request: the client's; everything is asked with its credentials.
        find_target: looks up the index behind a name; None if it is not enabled for reranking.
        model: whose vectors are stored.
        counts: where encoded texts are counted.
        slot: the request's place at the encoder; what finds none gets its vectors later.
    """

    def __init__(
        self,
        upstream: Upstream,
        request: Request,
        find_target: Callable[[str], WriteTarget | None],
        model: Model,
        counts: WriteCounts,
        slot: EncoderSlot,
    ) -> None:
        self._upstream = upstream
        self._request = request
        self._find_target = find_target
        self._model = model
        self._slot = slot
        self._seen: set[DocumentKey] = set()
        self._counts = counts
        self._submitted: set[TextKey] = set()
        self._num_operations = 0

    def start(self, parts: Sequence[Operation | bytes], *, may_lock: bool) -> Batch:
        """Plan the operations among the parts, and start to encode what they need.

        Raises:
            UpstreamError: OpenSearch cannot be asked about the index behind a name.
        """
        batch = Batch([self._accept(part, may_lock=may_lock) for part in parts])
        for pending in batch.pending:
            if pending.operation.action != "update":
                _plan(pending)
        self._read_stored(batch)
        for pending in batch.pending:
            if pending.body is not None:
                _plan(pending)
        self._encode(batch)
        return batch

    def _accept(self, part: Operation | bytes, *, may_lock: bool) -> Part:
        if isinstance(part, bytes):
            return part
        position, self._num_operations = self._num_operations, self._num_operations + 1
        target = self._find_target(part.index)
        if target is None:
            return part
        body = _parse_update(part)
        pending = PendingWrite(part, target, self._model.tags, body, may_lock=may_lock, position=position)
        if part.id is not None:
            pending.is_repeated = pending.key in self._seen
            self._seen.add(pending.key)
        return part if part.action == "delete" else pending

    def _read_stored(self, batch: Batch) -> None:
        """Read what is stored in one go: what updates are merged with, and vectors that may still fit."""
        wanted: list[Wanted] = []
        readers: list[PendingWrite] = []
        for pending in batch.pending:
            fields = () if pending.operation.id is None else self._choose_fields(pending)
            if fields:
                wanted.append((pending.key, fields))
                readers.append(pending)
        found = read_documents(self._upstream, select_caller_headers(self._request), wanted)
        for pending, stored in zip(readers, found, strict=True):
            pending.stored = stored
            if stored is not None and pending.body is None:
                batch.known |= _find_current_vectors(pending, stored)

    def _choose_fields(self, pending: PendingWrite) -> Sequence[str]:
        """Return the fields of the stored document that the plan or the vectors depend on."""
        settings, body = pending.settings, pending.body
        if body is not None:
            every = (*settings.source_fields, *settings.fields)
            doc = body.value("doc")
            if doc is None or body.has_script or not touches(doc, every):
                return ()
            return every if pending.target.kept.is_whole else (*every, *doc)  # to recognise a `noop`
        if pending.operation.action != "index":
            return ()
        unknown = (text for text in pending.texts if text.text and not text.held)
        return [text.field for text in unknown if self._find_recent_vector(text) is None]

    def _find_recent_vector(self, text: Text) -> bytes | None:
        """Return the vector of a text that was encoded lately; None if new vectors are not wanted."""
        return self._model.known_vector(text.key) if text.is_encodable else None

    def _encode(self, batch: Batch) -> None:
        missing: list[Text] = []
        for pending in batch.pending:
            for text in pending.texts:
                if not text.needs_encoding or text.key in batch.known:
                    continue
                recent = self._find_recent_vector(text)
                if recent is None:
                    missing.append(text)
                else:
                    batch.known[text.key] = recent
        for (model, chunking), texts in group_texts(missing).items():
            if self._slot.take():
                keys = {(model, hashed) for hashed in texts}
                self._counts.encoded += len(keys - self._submitted)  # the last batch may still encode some
                self._submitted |= keys
                encoding = self._model.writers[model].submit(texts, chunking)
                encoding.add_done_callback(self._slot.give_back)
                batch.encodings.append((model, encoding))


def _plan(pending: PendingWrite) -> None:
    """Make the plan; a write that cannot be read goes as it came, and is rechecked if OpenSearch takes it."""
    source, body = pending.operation.source, pending.body
    try:
        if body is not None:
            pending.plan = plan_update(pending, body)
        elif source is not None:
            pending.plan = plan_index(pending, source.decode("utf-8"))
    except (DocumentError, JsonObjectError, UnicodeDecodeError, RecursionError) as error:
        _log.debug("sent as it came: %s", error)


def _build(pending: PendingWrite, vectors: EncodedVectors | None) -> None:
    try:
        pending.build(vectors)
    except DocumentError as error:  # an upsert that holds something else in the place of a vector
        _log.debug("sent as it came: %s", error)
        pending.outgoing = pending.as_it_came()


def _find_current_vectors(pending: PendingWrite, stored: StoredDocument) -> dict[TextKey, bytes | None]:
    """Return the vectors of a stored document that are current for the texts that replace it."""
    vectors = ((text, stored.packed(text.field)) for text in pending.texts)
    return {text.key: packed for text, packed in vectors if text.is_current(packed)}


def _parse_update(operation: Operation) -> UpdateBody | None:
    """Return an update's body; None for other actions, and for a body that cannot be read."""
    if operation.action != "update" or operation.source is None:
        return None
    try:
        return UpdateBody.parse(operation.source)
    except JsonObjectError:
        return None
