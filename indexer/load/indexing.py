"""The run of `twinrank index`: lines in, documents with vectors into OpenSearch.

One batch is encoded while the one before it is being sent.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from indexer.document import Document, parse
from indexer.enricher import Enriched, Outcome
from indexer.errors import DocumentError, InputError
from indexer.load.lines import Line
from indexer.load.summary import Rejection, Summary
from indexer.vector_fields import FieldPolicy
from opensearch.client import OpenSearchClient
from opensearch.errors import DeniedError, RefusedError, RequestError
from opensearch.fields import stored_vectors
from opensearch.index import metadata
from opensearch.retry import RetryPolicy, retry
from opensearch.writes.bulk import Bulk, BulkItem, BulkResult

BATCH_DOCUMENTS = 256
BATCH_BYTES = 8_000_000
"""A batch is full at either: enough texts to sort by length, and a request far below OpenSearch's limit."""


@dataclass(frozen=True)
class Entry:
    """One document to be indexed, with its line and the id under which it is stored."""

    line: Line
    document: Document
    id: str


@dataclass(frozen=True)
class Events:
    """What to call for each rejection, with the summary after each batch, and before each wait."""

    rejected: Callable[[Rejection], None] = lambda rejection: None
    progress: Callable[[Summary], None] = lambda summary: None
    waiting: Callable[[str], None] = lambda reason: None


@dataclass
class Indexing:
    """Writes lines to one index. One run each.

    Attributes:
        upstream: the OpenSearch.
        index: a concrete index.
        enrich: gives documents their vectors.
        events: what to call.
        retry_policy: how long to go on when OpenSearch is busy or away.
        keeps_source: whether `_source` keeps every field; if not, it cannot tell that nothing changes.
    """

    upstream: OpenSearchClient
    index: str
    enrich: FieldPolicy
    events: Events = field(default_factory=Events)
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    keeps_source: bool = True

    def __post_init__(self) -> None:
        self._summary = Summary()
        self._bulk = Bulk(self.upstream, self.index, self.retry_policy, self.events.waiting)

    def run(self, lines: Iterable[Line]) -> Summary:
        """Index every valid line, refresh, and return the counts, with the reason for an early end."""
        started = time.monotonic()
        try:
            metadata.refresh(self.upstream, self.index)  # what an earlier run wrote is found again
            self._send_all(lines)
        except (InputError, RequestError) as error:
            self._summary.stopped = str(error)
        try:
            metadata.refresh(self.upstream, self.index)
        except RequestError as error:
            self._summary.stopped = self._summary.stopped or f"indexed, but not refreshed: {error}"
        self._summary.seconds = time.monotonic() - started
        return self._summary

    def _send_all(self, lines: Iterable[Line]) -> None:
        """Encode each batch while the one before it is in flight; never more than one is."""
        with ThreadPoolExecutor(1) as sender, ExitStack() as in_flight:
            for batch in _split_batches(self._read_entries(lines)):
                enriched = self._enrich(batch)
                in_flight.close()
                in_flight.callback(
                    self._finish, batch, enriched, self._start_writing(sender, batch, enriched)
                )

    def _read_entries(self, lines: Iterable[Line]) -> Iterator[Entry]:
        for line in lines:
            self._summary.lines += 1
            try:
                document = self._read_document(line)
            except DocumentError as error:
                self._reject(line, str(error))
                continue
            if document.id is None:
                self._summary.without_id += 1
            # Our own id, not OpenSearch's: sent again after a lost connection, it makes no second copy.
            yield Entry(line, document, document.id or secrets.token_urlsafe(15))

    def _read_document(self, line: Line) -> Document:
        if not line.whole:
            raise DocumentError(f"expected at most {len(line.raw)} bytes in a line, found more")
        if line.refusal is not None:
            raise DocumentError(line.refusal)
        document = parse(line.raw)
        self.enrich.check(document)
        return document

    def _enrich(self, batch: list[Entry]) -> list[Enriched]:
        known = [entry.document.id for entry in batch if entry.document.id is not None]
        stored = retry(
            lambda: stored_vectors.fetch(self.upstream, self.index, known, self.enrich.field),
            self.retry_policy,
            self.events.waiting,
        )
        return self.enrich([entry.document for entry in batch], stored)

    def _start_writing(
        self, sender: ThreadPoolExecutor, batch: list[Entry], enriched: list[Enriched]
    ) -> Future[list[BulkResult]]:
        return sender.submit(self._write, batch, enriched)

    def _write(self, batch: list[Entry], enriched: list[Enriched]) -> list[BulkResult]:
        """Write what OpenSearch does not hold already, after the batch before is written."""
        unchanged = self._find_unchanged(batch, enriched)
        self._summary.unchanged += len(unchanged)
        items = [
            BulkItem(entry.id, one.source)
            for entry, one in zip(batch, enriched, strict=True)
            if entry.id not in unchanged
        ]
        results = iter(self._bulk.write(items) if items else ())
        return [BulkResult(200, None) if entry.id in unchanged else next(results) for entry in batch]

    def _find_unchanged(self, batch: list[Entry], enriched: list[Enriched]) -> set[str]:
        """Return the ids of documents that are stored as they would be written."""
        unwritten = {
            entry.id: one.source
            for entry, one in zip(batch, enriched, strict=True)
            if entry.document.id is not None and one.outcome in (Outcome.REUSED, Outcome.NO_TEXT)
        }
        if not unwritten or not self.keeps_source:
            return set()
        try:
            held = retry(
                lambda: stored_vectors.fetch_sources(self.upstream, self.index, list(unwritten)),
                self.retry_policy,
                self.events.waiting,
            )
        except (DeniedError, RefusedError):  # no right to read them: all are written
            return set()
        return {key for key, source in held.items() if _is_same(source, unwritten[key])}

    def _finish(
        self, batch: list[Entry], enriched: list[Enriched], results: Future[list[BulkResult]]
    ) -> None:
        for entry, one, result in zip(batch, enriched, results.result(), strict=True):
            self._count(entry, one, result)
        self.events.progress(self._summary)

    def _count(self, entry: Entry, enriched: Enriched, result: BulkResult) -> None:
        if result.reason is not None:
            self._reject(entry.line, f"OpenSearch: {result.status} {result.reason}")
            return
        self._summary.indexed += 1
        self._summary.outcomes[enriched.outcome] += 1

    def _reject(self, line: Line, reason: str) -> None:
        self._summary.rejected += 1
        self.events.rejected(Rejection(line.number, reason, line.raw))


def _is_same(held: Any, source: bytes) -> bool:  # noqa: ANN401  # any JSON value
    """Return whether a stored document is what a source says: the same values in the same order.

    Only the spelling of numbers and letters may differ. OpenSearch refuses a key that is there twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("expected each key once")
        return dict(pairs)

    try:
        return json.dumps(held) == json.dumps(json.loads(source, object_pairs_hook=once))
    except (ValueError, RecursionError):
        return False


def _split_batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield full batches. Each holds an id only once, so that its last line wins, with retries too."""
    batch: list[Entry] = []
    ids: set[str] = set()
    num_bytes = 0
    for entry in entries:
        size = len(entry.line.raw)
        if len(batch) == BATCH_DOCUMENTS or (batch and num_bytes + size > BATCH_BYTES) or entry.id in ids:
            yield batch
            batch, ids, num_bytes = [], set(), 0
        batch.append(entry)
        ids.add(entry.id)
        num_bytes += size
    if batch:
        yield batch
