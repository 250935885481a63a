"""What has to be written so that a document's vectors are current or absent."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from indexer.document import Document
from indexer.enricher import Outcome
from indexer.errors import DocumentError
from indexer.vector_fields import FieldPolicy
from opensearch.changes.feed import Change
from opensearch.errors import MappingError
from opensearch.fields import stored_vectors
from opensearch.index.metadata import Index
from opensearch.settings.table import RerankSettings
from opensearch.writes.bulk import BulkItem


@dataclass(frozen=True)
class Repair:
    """The repair of one document.

    `item` is what to write, None if it is in order; `outcome` is the main vector's; `problem` says why
    the document cannot hold a vector.
    """

    change: Change
    outcome: Outcome | None
    item: BulkItem | None = None
    problem: str | None = None


class RepairPlanner:
    """Plans the repairs of one index.

    The whole document is written, from the very bytes that are stored, under the lock of the version that
    was read: a partial update would rewrite numbers, and lose digits beyond the 17th. It goes around
    ingest pipelines. Only if there is a final pipeline, which a whole document cannot avoid, an update line
    is sent, for which no pipeline runs.

    Args:
        index: the concrete index.
        settings: its settings.
        policies: one for each vector field, the main one first.

    Raises:
        MappingError: the index cannot be repaired without harm.
    """

    def __init__(self, index: Index, settings: RerankSettings, policies: Sequence[FieldPolicy]) -> None:
        self._policies = policies
        self._is_external = settings.versioning == "external"
        self._by_update = index.settings.get("index.final_pipeline", "_none") != "_none"
        _check(index, is_external=self._is_external, by_update=self._by_update)

    def __call__(self, changes: Sequence[Change]) -> list[Repair]:
        """Return what to do for each document, in order; each text is encoded once."""
        doubtful = {position: change for position, change in enumerate(changes) if self._is_doubtful(change)}
        documents, problems = self._read_documents(doubtful)
        states = self._enrich(documents)
        return [
            Repair(change, None, problem=problems[position])
            if position in problems
            else self._repair(change, *states.get(position, (Outcome.REUSED, change.source)))
            for position, change in enumerate(changes)
        ]

    def _is_doubtful(self, change: Change) -> bool:
        """Whether a document may need a repair. Most do not, so this check is fast."""
        try:
            values = msgspec.json.decode(change.source)
        except (msgspec.DecodeError, RecursionError):  # stored, and not read by msgspec: lone surrogates
            return True
        return not all(policy.is_current(values) for policy in self._policies)

    def _read_documents(self, changes: dict[int, Change]) -> tuple[dict[int, Document], dict[int, str]]:
        documents: dict[int, Document] = {}
        problems: dict[int, str] = {}
        for position, change in changes.items():
            document = Document(change.source)
            try:
                for policy in self._policies:
                    policy.check(document)
            except DocumentError as error:
                problems[position] = str(error)
            else:
                documents[position] = document
        return documents, problems

    def _enrich(self, documents: dict[int, Document]) -> dict[int, tuple[Outcome, str]]:
        """Return the main outcome and the source with every vector; the same source if nothing changes."""
        sources = {position: document.source for position, document in documents.items()}
        outcomes: dict[int, Outcome] = {}
        for policy in self._policies:
            enriched = policy([Document(source) for source in sources.values()], {})
            for position, one in zip(list(sources), enriched, strict=True):
                outcomes.setdefault(position, one.outcome)
                if one.outcome is not Outcome.REUSED:
                    sources[position] = one.source.decode()
        return {position: (outcome, sources[position]) for position, outcome in outcomes.items()}

    def _repair(self, change: Change, outcome: Outcome, source: str) -> Repair:
        if source == change.source:
            return Repair(change, outcome)
        conditions: dict[str, Any] = (
            {"version": change.version, "version_type": "external_gte"}
            if self._is_external
            else {"if_seq_no": change.seq_no, "if_primary_term": change.primary_term}
        )
        if change.routing is not None:
            conditions["routing"] = change.routing
        if self._by_update:
            return Repair(
                change, outcome, BulkItem(change.id, self._build_update(source), conditions, "update")
            )
        conditions["pipeline"] = "_none"
        return Repair(change, outcome, BulkItem(change.id, _join_lines(source), conditions))

    def _build_update(self, source: str) -> bytes:
        """Return the body of an update that sets every vector field; null drops a value."""
        values = Document(source).values
        doc: dict[str, Any] = {}
        for policy in self._policies:
            inner = doc
            *parents, last = policy.field.split(".")
            for name in parents:
                inner = inner.setdefault(name, {})
            inner[last] = stored_vectors.find_value(values, policy.field)
        return json.dumps({"doc": doc}).encode()


def _join_lines(source: str) -> bytes:
    """Return the source without line breaks: in JSON they can only be between its parts."""
    return source.replace("\n", " ").replace("\r", " ").encode()


def _check(index: Index, *, is_external: bool, by_update: bool) -> None:
    for problem in _find_problems(index, is_external=is_external, by_update=by_update):
        raise MappingError(f"{index.name}: {problem}")


def _find_problems(index: Index, *, is_external: bool, by_update: bool) -> Iterator[str]:
    if is_external and by_update:
        yield (
            "expected no final ingest pipeline beside `versioning: external`, found"
            f" {index.settings['index.final_pipeline']}: a document can then not be written without it"
        )
