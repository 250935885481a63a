"""How far an index is covered with current vectors."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from indexer.document import Document
from indexer.enrich import Enricher
from opensearch import vectors
from opensearch.client import Upstream
from opensearch.settings import RerankSettings
from opensearch.vectors import Counts
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack

SAMPLE_SIZE = 100


class State(Enum):
    """What a stored vector is worth."""

    CURRENT = "current"
    STALE = "stale"
    OTHER_MODEL = "other_model"
    UNUSABLE = "unusable"


@dataclass(frozen=True)
class Coverage:
    """Exact counts, and the states of a random sample of the stored vectors."""

    counts: Counts
    sampled: Mapping[State, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """The share of the documents that have a vector, 0 to 1; 1 for an empty index."""
        return self.counts.with_vector / self.counts.documents if self.counts.documents else 1.0


def coverage(
    upstream: Upstream, index: str, settings: RerankSettings, enricher: Enricher, model_tag: int
) -> Coverage:
    """Count the documents with a vector and look at a sample of the vectors.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    counts = vectors.count(upstream, index, settings.field)
    sources = vectors.sample(upstream, index, settings, SAMPLE_SIZE) if counts.with_vector else []
    return Coverage(counts, Counter(_state(source, settings, enricher, model_tag) for source in sources))


def _state(source: Mapping[str, Any], settings: RerankSettings, enricher: Enricher, model_tag: int) -> State:
    packed = vectors.decoded(vectors.value_at(source, settings.field))
    try:
        vector = unpack(packed or b"")
    except StoredVectorError:
        return State.UNUSABLE
    if vector.model_tag != model_tag:
        return State.OTHER_MODEL
    document = Document(json.dumps(source))
    return State.CURRENT if vector.text_hash == enricher.hash_of(document) else State.STALE
