"""Documents without a current vector after their write: read back, encoded, and updated under a lock."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from indexer.writes.texts import EncodedVectors, Text, find_texts, group_texts
from opensearch.writes.documents import DocumentKey, StoredDocument, build_repair_lines
from opensearch.writes.operation import Lock
from opensearch.writes.response import BulkResponse, ResponseItem
from opensearch.writes.target import WriteTarget
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream
from plugin.writes.conflicts import ROUNDS
from plugin.writes.stray_documents import Sought, find_documents

MAX_AT_ONCE = 64

MAX_WAITING = 10_000
"""Documents that may wait for their vectors after their requests are answered; more are left to sync."""

_NDJSON = ("Content-Type", "application/x-ndjson")
_log = logging.getLogger("twinrank.writes")


@dataclass(frozen=True)
class Recheck:
    """One document to read back after its write, by its concrete index, and the settings that apply.

    `lock` is the sequence number that its write got, None if unknown. `is_noop`: nothing was written, so
    there may be no document.
    """

    key: DocumentKey
    target: WriteTarget
    lock: Lock | None = None
    is_noop: bool = False

    @property
    def sought(self) -> Sought:
        """The fields to read, and how to recognise the document."""
        settings = self.target.settings
        return Sought((*settings.source_fields, *settings.fields), self.lock, self.target.shards)


@dataclass(frozen=True)
class RepairSummary:
    """The result of repairs: OpenSearch's item for each document that was written, and how many are left.

    `num_missing` of those that are left were not found again.
    """

    items: dict[DocumentKey, ResponseItem]
    num_left: int
    num_missing: int = 0


class Repairer:
    """Gives documents their vectors after their writes, before or after the request is answered."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._model = model
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="repair")
        self._waiting = 0
        self._lock = threading.Lock()

    def repair_now(self, headers: Headers, rechecks: Sequence[Recheck], refresh: str = "") -> RepairSummary:
        """Repair documents and return the result; `refresh` is the parameter of the client's own write."""
        items: dict[DocumentKey, ResponseItem] = {}
        missing: set[DocumentKey] = set()
        left = 0
        for start in range(0, len(rechecks), MAX_AT_ONCE):
            part = {recheck.key: recheck for recheck in rechecks[start : start + MAX_AT_ONCE]}
            for _ in range(ROUNDS):
                part = self._repair_round(headers, part, refresh, items, missing)
                if not part:
                    break
            left += len(part)
        if left:
            _log.warning("%d documents stay without the vector that fits, until twinrank sync", left)
        if missing:
            first = next(iter(sorted(missing, key=str)))
            _log.warning(
                "%d documents were not found after their write, such as %s/%s: they have no vector until"
                " twinrank sync, unless they are deleted",
                len(missing),
                first.index,
                first.id,
            )
        return RepairSummary(items, left + len(missing), len(missing))

    def repair_later(self, headers: Headers, rechecks: Sequence[Recheck]) -> int:
        """Repair documents in the background; return how many the queue has no capacity for."""
        with self._lock:
            capacity = max(0, MAX_WAITING - self._waiting)
            taken = rechecks[:capacity]
            self._waiting += len(taken)
        if taken:
            self._pool.submit(self._repair_in_background, headers, taken).add_done_callback(_log_error)
        if len(taken) < len(rechecks):
            _log.warning("%d documents get no vector until twinrank sync", len(rechecks) - len(taken))
        return len(rechecks) - len(taken)

    def _repair_in_background(self, headers: Headers, rechecks: Sequence[Recheck]) -> None:
        try:
            self.repair_now(headers, rechecks)
        finally:
            with self._lock:
                self._waiting -= len(rechecks)

    def _repair_round(
        self,
        headers: Headers,
        part: dict[DocumentKey, Recheck],
        refresh: str,
        items: dict[DocumentKey, ResponseItem],
        missing: set[DocumentKey],
    ) -> dict[DocumentKey, Recheck]:
        """Repair what can be repaired, note what is missing, and return what must be tried again."""
        sought = {key: recheck.sought for key, recheck in part.items()}
        found = find_documents(self._upstream, headers, sought)
        known = {key: one.stored for key, one in found.items() if one.stored is not None}
        nowhere = {key for key, stored in known.items() if stored.source is None}
        missing |= {key for key in nowhere if not part[key].is_noop}
        lines = self._build_lines(
            part,
            {key: one for key, one in known.items() if key not in nowhere},
            {key: one.key for key, one in found.items()},
        )
        written = self._write(headers, lines, refresh)
        items |= {key: item for key, item in written.items() if "error" not in item}
        done = (set(known) - set(lines)) | set(items)
        return {key: recheck for key, recheck in part.items() if key not in done}

    def _build_lines(
        self,
        part: dict[DocumentKey, Recheck],
        found: dict[DocumentKey, StoredDocument],
        keys: dict[DocumentKey, DocumentKey],
    ) -> dict[DocumentKey, bytes]:
        """Return the updates of documents whose vectors are not current, at their true places."""
        texts = {key: self._find_texts(part[key], stored) for key, stored in found.items()}
        vectors = self._encode(texts)
        lines = {}
        for key, wanted in texts.items():
            fitting = {text.field: text.find_vector(vectors) for text in wanted}
            if any(packed != found[key].packed(field) for field, packed in fitting.items()):
                lines[key] = build_repair_lines(keys[key], found[key].lock, fitting)
        return lines

    def _find_texts(self, recheck: Recheck, stored: StoredDocument) -> tuple[Text, ...]:
        """Return a stored document's text for each of its fields, with the vectors that it has."""
        source = stored.source or {}
        return find_texts(recheck.target.settings, self._model.tags, source, source)

    def _encode(self, texts: dict[DocumentKey, tuple[Text, ...]]) -> EncodedVectors:
        """Encode what has no vector, each model's texts at once."""
        missing = group_texts(text for each in texts.values() for text in each if text.needs_encoding)
        return {
            (model, hashed): packed
            for (model, chunking), some in missing.items()
            for hashed, packed in self._model.writers[model](some, chunking).items()
        }

    def _write(
        self, headers: Headers, lines: dict[DocumentKey, bytes], refresh: str
    ) -> dict[DocumentKey, ResponseItem]:
        if not lines:
            return {}
        target = f"/_bulk?refresh={refresh}" if refresh else "/_bulk"
        try:
            exchange = self._upstream.exchange("POST", target, (*headers, _NDJSON), b"".join(lines.values()))
            response = BulkResponse.parse(exchange.body)
            return {key: response.item(number) for number, key in enumerate(lines)}
        except (UpstreamError, ValueError) as error:
            _log.warning("%d vectors could not be written: %s", len(lines), error)
            return {}


def _log_error(repaired: Future[None]) -> None:
    """Log what ended repairs in the background: nobody waits for their result."""
    error = repaired.exception()
    if error is not None:
        _log.error("documents could not be rechecked after their write: unexpected error", exc_info=error)
