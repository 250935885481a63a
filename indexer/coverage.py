"""What share of an index has current vectors, and what to do next."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from indexer.document import Document, text_of
from indexer.enricher import hash_of
from indexer.estimate import in_words
from opensearch.client import OpenSearchClient
from opensearch.errors import BlockedError, MappingError
from opensearch.fields import stored_vectors
from opensearch.fields.stored_vectors import VectorCounts
from opensearch.index import mapping, metadata
from opensearch.index.metadata import Index
from opensearch.index.write_obstacle import find_write_obstacle
from opensearch.settings.table import RerankSettings, encode_settings
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack

SAMPLE_SIZE = 100
MISSING_SAMPLE_SIZE = 16
"""Documents without a vector whose texts are read, and may be encoded for an estimate."""


class State(Enum):
    """The state of a stored vector."""

    CURRENT = "current"
    STALE = "stale"
    OTHER_MODEL = "other_model"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class ModelIdentity:
    """The model at hand, by its bundle's name and the tag of its vectors."""

    name: str
    tag: int


@dataclass(frozen=True)
class Coverage:
    """One index: exact counts, and the states of a random sample of its stored vectors.

    `problem` says what is wrong with the mapping, None if it is right. `missing_texts` are the
    texts of a few documents without a vector; a document without text has an empty one. `obstacle` is what
    keeps sync from writing here, None if nothing does; `missing` documents have a source field and no vector.
    """

    index: str
    settings: RerankSettings
    counts: VectorCounts
    sampled: Mapping[State, int] = field(default_factory=dict)
    problem: str | None = None
    missing_texts: tuple[str, ...] = ()
    obstacle: str | None = None
    missing: int = 0

    @property
    def num_missing(self) -> int:
        """How many documents have no vector."""
        return max(0, self.counts.documents - self.counts.with_vector)

    @property
    def share(self) -> float:
        """The share of the documents that have a vector, 0 to 1; 1 for an empty index."""
        return self.counts.with_vector / self.counts.documents if self.counts.documents else 1.0

    def next_step(self, model: ModelIdentity, sync_s: float | None = None) -> str:
        """Return the advice to the index's owner; `sync_s` is how long a sync takes here, if known."""
        if self.problem:
            return "Mend the mapping: " + self.problem
        if self.settings.model != model.name:
            return f"The index wants the model {self.settings.model}: give its folder with --bundle."
        return self._next_step_of_existing() if self.settings.reads_existing else self._next_sync(sync_s)

    def _next_sync(self, sync_s: float | None) -> str:
        """Return the advice if the vectors are Twinrank's to make."""
        sync = f"next: twinrank sync {self.index}"
        if not self.counts.documents:
            return f"The index is empty; next: twinrank index {self.index} FILE, or write through the proxy"
        if not self.settings.enabled:
            then = f", then twinrank sync {self.index}" if self.num_missing else ""
            return f"{self._have_vectors}, and reranking is off; next: twinrank enable {self.index}{then}"
        if self.obstacle and self.missing:
            return f"{self._have_vectors}, and sync cannot write here: {self.obstacle}"
        unfit = [state for state in State if state != State.CURRENT and self.sampled.get(state)]
        worn = [f"{self.sampled[state]} {state.value}" for state in unfit]
        if worn:
            return f"Of {sum(self.sampled.values())} vectors looked at, {', '.join(worn)}; {sync}"
        if not self.num_missing:
            return "Nothing: every document has a vector."
        if self.missing_texts and not any(self.missing_texts):
            return f"{self._have_vectors}; {self._without_text}"
        about = "" if sync_s is None else f" ({in_words(sync_s)} here)"
        return f"{self._have_vectors}; {sync}{about}"

    def _next_step_of_existing(self) -> str:
        """Return the advice if the vectors are the index's own: then there is nothing to sync."""
        if not self.counts.documents:
            return "The index is empty; next: write documents as before, with their vectors"
        if not self.settings.enabled:
            return f"{self._have_vectors}, and reranking is off; next: twinrank enable {self.index}"
        if not self.num_missing:
            return "Nothing: every document has a vector. What writes the index keeps them current."
        return f"{self._have_vectors}; the others keep their place until what writes the index adds theirs"

    @property
    def _have_vectors(self) -> str:
        return f"{self.counts.with_vector:,} of {self.counts.documents:,} documents have vectors"

    @property
    def _without_text(self) -> str:
        """Return the advice if none of the sampled documents has a text to encode."""
        fields = ", ".join(self.settings.source_fields)
        looked_at = f"the {len(self.missing_texts)} that were looked at have no text in {fields}"
        if self.counts.with_vector:
            return f"of the others, {looked_at}, so nothing is to be done"
        return f"{looked_at}; next: choose other fields with twinrank enable {self.index} --field FIELD"

    def as_json(self, model: ModelIdentity, sync_s: float | None = None) -> dict[str, Any]:
        """Return the machine-readable form; `sync_s` as in `next_step`."""
        return {
            "index": self.index,
            "settings": encode_settings(self.settings),
            "documents": self.counts.documents,
            "with_vector": self.counts.with_vector,
            "coverage": round(self.share, 4),
            "sample": {state.value: self.sampled.get(state, 0) for state in State},
            "missing": self.missing,
            "problem": self.problem,
            "obstacle": self.obstacle,
            "next": self.next_step(model, sync_s),
        }


def measure_coverage(upstream: OpenSearchClient, name: str, model: ModelIdentity) -> Coverage:
    """Measure the index that `name` writes to.

    Raises:
        SettingsError: the index has no valid settings.
        BlockedError: the index is closed.
        RequestError: OpenSearch cannot be asked.
    """
    index = metadata.find_write_index(upstream, name)
    settings = index.rerank_settings()
    if settings.reads_existing:
        return _measure_existing(upstream, index, settings)
    obstacle = find_write_obstacle(index)
    if obstacle is not None and not obstacle.is_readable:
        raise BlockedError(f"{index.name}: {obstacle.problem}")
    counts = stored_vectors.count(upstream, index.name, settings.field)
    sources = stored_vectors.sample(upstream, index.name, settings, SAMPLE_SIZE) if counts.with_vector else []
    sampled = Counter(_judge(source, settings, model) for source in sources)
    is_missing = counts.documents > counts.with_vector
    missing = (
        stored_vectors.sample_missing(upstream, index.name, settings, MISSING_SAMPLE_SIZE)
        if is_missing
        else []
    )
    texts = tuple(text_of(source, settings.source_fields) for source in missing)
    return Coverage(
        index.name,
        settings,
        counts,
        sampled,
        _find_problem(index, settings),
        texts,
        None if obstacle is None else obstacle.problem,
        stored_vectors.count_missing(upstream, index, settings),
    )


def _measure_existing(upstream: OpenSearchClient, index: Index, settings: RerankSettings) -> Coverage:
    """Count vectors of the index's own, which carry nothing by which they could be judged."""
    return Coverage(
        index.name,
        settings,
        stored_vectors.count(upstream, index.name, settings.field),
        problem=_find_problem(index, settings),
        missing=stored_vectors.count_missing(upstream, index, settings),
    )


def _find_problem(index: Index, settings: RerankSettings) -> str | None:
    try:
        mapped = mapping.check_settings(index, settings)
    except MappingError as error:
        return str(error)
    return None if mapped else f"{settings.field} is not mapped: twinrank enable {index.name}"


def _judge(source: Mapping[str, Any], settings: RerankSettings, model: ModelIdentity) -> State:
    try:
        vector = unpack(stored_vectors.decode(stored_vectors.find_value(source, settings.field)) or b"")
    except StoredVectorError:
        return State.UNUSABLE
    if vector.model_tag != model.tag:
        return State.OTHER_MODEL
    hashed = hash_of(Document(json.dumps(source)), settings)
    return State.CURRENT if vector.text_hash == hashed else State.STALE
