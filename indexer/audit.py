"""`twinrank verify`: checks every document's stored vector, read-only.

Each index is read under one point in time, so that concurrent writes change nothing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from indexer.document import Document
from indexer.enricher import hash_of
from opensearch.changes.snapshot import SnapshotDocument
from opensearch.fields import stored_vectors
from opensearch.settings.table import RerankSettings
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack

MAX_SAMPLES = 10


class Worth(Enum):
    """The state of one document's stored vector. Only `STALE` ranks by a text that is gone."""

    CURRENT = "current"
    STALE = "stale"
    ABSENT = "absent"
    WITHOUT_TEXT = "without_text"
    FOREIGN = "foreign"
    CORRUPT = "corrupt"


@dataclass
class Audit:
    """Counts by state, with some ids of every state that is neither current nor without text."""

    documents: int = 0
    counts: dict[Worth, int] = field(default_factory=lambda: dict.fromkeys(Worth, 0))
    samples: dict[Worth, list[str]] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether no vector is stale."""
        return self.counts[Worth.STALE] == 0

    def add(self, document_id: str, worth: Worth) -> None:
        """Count one document."""
        self.documents += 1
        self.counts[worth] += 1
        if worth not in (Worth.CURRENT, Worth.WITHOUT_TEXT):
            kept = self.samples.setdefault(worth, [])
            if len(kept) < MAX_SAMPLES:
                kept.append(document_id)

    def lines(self) -> Iterator[str]:
        """Yield the result for people."""
        yield f"{self.documents} documents: " + ", ".join(f"{n} {w.value}" for w, n in self.counts.items())
        for worth, ids in self.samples.items():
            yield f"  {worth.value}: {', '.join(ids)}{' ...' if self.counts[worth] > len(ids) else ''}"

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        counts = {worth.value: number for worth, number in self.counts.items()}
        samples = {worth.value: ids for worth, ids in self.samples.items()}
        return {"documents": self.documents, **counts, "samples": samples}


def judge_vector(stored: SnapshotDocument, settings: RerankSettings, model_tag: int) -> Worth:
    """Return the state of one document's vector, for this model and these settings."""
    document = Document(json.dumps(stored.source))
    has_text = bool(document.text(settings.source_fields))
    if not stored.vectors:
        return Worth.ABSENT if has_text else Worth.WITHOUT_TEXT
    packed = stored_vectors.decode(stored.vectors[0]) if len(stored.vectors) == 1 else None
    try:
        vector = unpack(packed or b"")
    except StoredVectorError:
        return Worth.CORRUPT
    if vector.model_tag != model_tag:
        return Worth.FOREIGN
    return Worth.CURRENT if has_text and vector.text_hash == hash_of(document, settings) else Worth.STALE
