"""Documents that were written without the vector that fits: read back, encoded, and given it under a lock."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from indexer.writes.texts import EncodedVectors, Text, find_texts, group_texts
from opensearch.writes.documents import DocumentKey, StoredDocument, repair_lines
from opensearch.writes.operation import Lock
from opensearch.writes.response import BulkResponse, ResponseItem
from opensearch.writes.target import WriteTarget
from plugin.encoding.model import Model
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream
from plugin.writes.stray_documents import Sought, find_documents

MAX_AT_ONCE = 64
ROUNDS = 3
"""How often a document is read again that somebody else has changed meanwhile; then it is left to sync."""

MAX_WAITING = 10_000
"""Documents that may wait for their vectors behind answered requests; more are left to sync."""

_NDJSON = ("Content-Type", "application/x-ndjson")
_log = logging.getLogger("twinrank.writes")


@dataclass(frozen=True)
class Recheck:
    """One document to be looked at: where it lies, by the concrete index, and whose settings hold.

    `lock` is what its write was answered with, None if that is not known; `is_noop` whether nothing was
    written, so that there may be no document.
    """

    place: DocumentKey
    target: WriteTarget
    lock: Lock | None = None
    is_noop: bool = False

    @property
    def sought(self) -> Sought:
        """What is read of the document."""
        settings = self.target.settings
        return Sought((*settings.source_fields, *settings.fields), self.lock, self.target.shards)


@dataclass(frozen=True)
class RepairSummary:
    """What came of repairs: OpenSearch's item for each document that was written, and how many are left.

    `num_missing` of those that are left were not found again.
    """

    items: dict[DocumentKey, ResponseItem]
    num_left: int
    num_missing: int = 0


class Repairer:
    """Gives documents their vectors after their writes, at once or behind the answer."""

    def __init__(self, upstream: Upstream, model: Model) -> None:
        self._upstream = upstream
        self._model = model
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="repair")
        self._waiting = 0
        self._lock = threading.Lock()

    def now(self, headers: Headers, repairs: Sequence[Recheck], refresh: str = "") -> RepairSummary:
        """Repair documents and say what was written; `refresh` is the parameter of the client's own write."""
        items: dict[DocumentKey, ResponseItem] = {}
        missing: set[DocumentKey] = set()
        left = 0
        for start in range(0, len(repairs), MAX_AT_ONCE):
            part = {repair.place: repair for repair in repairs[start : start + MAX_AT_ONCE]}
            for _ in range(ROUNDS):
                part = self._round(headers, part, refresh, items, missing)
                if not part:
                    break
            left += len(part)
        if left:
            _log.warning("%d documents stay without the vector that fits, until twinrank sync", left)
        if missing:
            first = next(iter(sorted(missing, key=str)))
            _log.warning(
                "%d documents were not found after their write, such as %s/%s: they have no vector until"
                " twinrank sync, unless they are deleted", len(missing), first.index, first.id,
            )  # fmt: skip
        return RepairSummary(items, left + len(missing), len(missing))

    def later(self, headers: Headers, repairs: Sequence[Recheck]) -> int:
        """Repair documents behind the answer; return how many there is no room for."""
        with self._lock:
            room = max(0, MAX_WAITING - self._waiting)
            taken = repairs[:room]
            self._waiting += len(taken)
        if taken:
            self._pool.submit(self._behind, headers, taken)
        if len(taken) < len(repairs):
            _log.warning("%d documents get no vector until twinrank sync", len(repairs) - len(taken))
        return len(repairs) - len(taken)

    def _behind(self, headers: Headers, repairs: Sequence[Recheck]) -> None:
        try:
            self.now(headers, repairs)
        finally:
            with self._lock:
                self._waiting -= len(repairs)

    def _round(
        self,
        headers: Headers,
        part: dict[DocumentKey, Recheck],
        refresh: str,
        items: dict[DocumentKey, ResponseItem],
        missing: set[DocumentKey],
    ) -> dict[DocumentKey, Recheck]:
        """Repair what can be, note what is nowhere, and return what must be looked at again."""
        sought = {place: repair.sought for place, repair in part.items()}
        found = find_documents(self._upstream, headers, sought)
        known = {place: one.stored for place, one in found.items() if one.stored is not None}
        nowhere = {place for place, stored in known.items() if stored.source is None}
        missing |= {place for place in nowhere if not part[place].is_noop}
        lines = self._lines(
            part,
            {place: one for place, one in known.items() if place not in nowhere},
            {place: one.place for place, one in found.items()},
        )
        written = self._written(headers, lines, refresh)
        items |= {place: item for place, item in written.items() if "error" not in item}
        done = (set(known) - set(lines)) | set(items)
        return {place: repair for place, repair in part.items() if place not in done}

    def _lines(
        self,
        part: dict[DocumentKey, Recheck],
        found: dict[DocumentKey, StoredDocument],
        places: dict[DocumentKey, DocumentKey],
    ) -> dict[DocumentKey, bytes]:
        """Return the writes of documents whose vectors are not the ones that fit, at their true places."""
        texts = {place: self._texts(part[place], stored) for place, stored in found.items()}
        vectors = self._encode(texts)
        lines = {}
        for place, wanted in texts.items():
            fitting = {text.field: text.vector(vectors) for text in wanted}
            if any(packed != found[place].packed(field) for field, packed in fitting.items()):
                lines[place] = repair_lines(places[place], found[place].lock, fitting)
        return lines

    def _texts(self, repair: Recheck, stored: StoredDocument) -> tuple[Text, ...]:
        """Return a stored document's text for each of its fields, with the vectors that it has."""
        source = stored.source or {}
        return find_texts(repair.target.settings, self._model.tags, source, source)

    def _encode(self, texts: dict[DocumentKey, tuple[Text, ...]]) -> EncodedVectors:
        """Encode what has no vector, each model's texts at once."""
        missing = group_texts(text for each in texts.values() for text in each if text.needs_encoding)
        return {
            (model, hashed): packed
            for (model, chunking), some in missing.items()
            for hashed, packed in self._model.writers[model](some, chunking).items()
        }

    def _written(
        self, headers: Headers, lines: dict[DocumentKey, bytes], refresh: str
    ) -> dict[DocumentKey, ResponseItem]:
        if not lines:
            return {}
        target = f"/_bulk?refresh={refresh}" if refresh else "/_bulk"
        try:
            exchange = self._upstream.exchange("POST", target, (*headers, _NDJSON), b"".join(lines.values()))
            answer = BulkResponse.parse(exchange.body)
            return {place: answer.item(number) for number, place in enumerate(lines)}
        except (UpstreamError, ValueError) as error:
            _log.warning("%d vectors could not be written: %s", len(lines), error)
            return {}
