"""As many short documents as are asked for, of which only some were encoded.

A text that is encoded comes first. Each further document has one of these texts with two words of another one
behind it, and its vector, turned by noise: so no two scores in a window are the same, as they would be if
texts were repeated.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.stored_vector import pack
from reranker.text import Chunking, text_hash
from tests.benchmarks.backfill import short_texts

COSINE = 0.97
"""Of a turned vector and the one that it comes from."""

BATCH = 1000
CHUNKING = Chunking()


@dataclass(frozen=True)
class DerivedDocuments:
    """Texts with their vectors, (number of texts, dim), and what further documents are made of them.

    The document of a number is always the same, and so are the first ones of a larger and a smaller index.
    """

    bundle: Bundle
    texts: list[str]
    vectors: Floats

    @classmethod
    def encode(cls, bundle: Bundle, num_texts: int) -> "DerivedDocuments":
        """Encode so many distinct texts."""
        encoder, texts = bundle.load_document_encoder(threads=2), short_texts(num_texts)
        rows = list[Floats]()
        for start in range(0, num_texts, BATCH):
            rows += [chunks[0] for chunks in encoder(texts[start : start + BATCH], CHUNKING)]
        return cls(bundle, texts, np.stack(rows))

    def source(self, number: int, random: np.random.Generator) -> dict[str, Any]:
        """Return the document of a number; `random` has been seeded for it."""
        first = number % len(self.texts)
        text, vector = self.texts[first], self.vectors[first]
        if number >= len(self.texts):
            other = self.texts[int(random.integers(len(self.texts)))].split()[1:]
            text = f"{text} {' '.join(random.choice(other, 2))} {number}"
            vector = turn(vector, COSINE, random)
        packed = pack(vector[None, :], text_hash=text_hash(text, CHUNKING), model_tag=self.bundle.model_tag)
        return {"text": text, "rerank": {"vector": base64.b64encode(packed).decode()}}

    def sources(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield the documents from 0 on."""
        for number in range(count):
            yield self.source(number, np.random.default_rng(number))


def turn(vector: Floats, cosine: float, random: np.random.Generator) -> Floats:
    """Return a vector of the same length, (dim,), at that cosine to `vector`, in a random direction."""
    length = float(np.linalg.norm(vector))
    unit = vector / length
    noise = random.normal(size=len(unit))
    noise -= (noise @ unit) * unit
    noise /= np.linalg.norm(noise)
    turned: Floats = (length * (cosine * unit + np.sqrt(1 - cosine**2) * noise)).astype(np.float32)
    return turned


def make_derived_index(
    client: OpenSearch, name: str, documents: DerivedDocuments, count: int, shards: int
) -> None:
    """Make an index of so many documents, enabled, with vectors; an index of that name is replaced."""
    meta = {"rerank": {"model": documents.bundle.vectors_of, "source_fields": ["text"], "deadline_ms": 5_000}}
    vector = {"type": "binary", "doc_values": True}
    body = {
        "settings": {"number_of_shards": shards, "number_of_replicas": 0, "refresh_interval": "-1"},
        "mappings": {
            "_meta": meta,
            "properties": {"text": {"type": "text"}, "rerank": {"properties": {"vector": vector}}},
        },
    }
    client.indices.delete(index=name, ignore_unavailable=True)
    client.indices.create(index=name, body=body)
    _write(client, name, enumerate(documents.sources(count)))


def change_texts(client: OpenSearch, name: str, documents: DerivedDocuments, numbers: Sequence[int]) -> None:
    """Write other texts without vectors in the place of documents, as a client does that knows no proxy."""
    texts = ((number, documents.texts[number % len(documents.texts)]) for number in numbers)
    _write(client, name, ((number, {"text": f"changed {number} {text}"}) for number, text in texts))


def _write(client: OpenSearch, name: str, sources: Iterator[tuple[int, dict[str, Any]]]) -> None:
    actions = ({"_index": name, "_id": str(number), "_source": source} for number, source in sources)
    helpers.bulk(client, actions, chunk_size=2000, request_timeout=300)
    client.indices.refresh(index=name, request_timeout=300)
