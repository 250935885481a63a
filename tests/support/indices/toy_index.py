"""A small index with the tiny bundle's vectors, and the order that a reranked search must have."""

import base64
import json
import keyword
import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from reranker.bundle import Bundle
from reranker.stored_vector import pack, unpack
from reranker.text import Chunking, text_hash

WINDOW = 100
CHUNKING = Chunking()


def known_words(bundle: Path) -> list[str]:
    """Return the whole words of a bundle's tokeniser: texts of others would all look alike to it."""
    content = json.loads((bundle / "tokenizer.json").read_text())
    if content.get("type") == "tri_letters":
        return [word for word in keyword.kwlist if word.islower()]  # every word is known by its trigrams
    vocabulary = content["model"]["vocab"]
    return sorted(word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 1)


@dataclass(frozen=True)
class ToyIndex:
    """Documents `0`, `1`, ... that all match `query`, more of them than fit into the window."""

    client: OpenSearch
    url: str
    bundle: Bundle
    name: str
    num_documents: int
    query_text: str

    @property
    def query(self) -> dict[str, Any]:
        """The query that matches them."""
        return {"match": {"text": self.query_text}}

    def first_stage(self, size: int) -> list[dict[str, Any]]:
        """Return OpenSearch's own hits."""
        found = self.client.search(index=self.name, body={"query": self.query, "size": size})
        hits: list[dict[str, Any]] = found["hits"]["hits"]
        return hits

    def expected_order(self, window: int = WINDOW) -> list[str]:
        """Return the ids in the order of score x exp(weight x crossing), computed one by one."""
        crossing = self.bundle.load_crossing()
        query = self.bundle.load_query_encoder()(self.query_text)
        weight = self.bundle.manifest.fusion.weight
        hits = self.first_stage(window)
        fused = {}
        for hit in hits:
            stored = unpack(base64.b64decode(hit["_source"]["rerank"]["vector"]))
            fused[hit["_id"]] = hit["_score"] * math.exp(weight * float(crossing(query, stored.values).max()))
        return sorted(fused, key=lambda each: -fused[each])


def make_toy_index(
    client: OpenSearch, url: str, bundle: Bundle, name: str, num_documents: int = 130
) -> ToyIndex:
    """Make the index: random texts of words that the bundle's tokeniser knows."""
    words = known_words(bundle.path)
    chosen = random.Random(5)
    query_text = " ".join(words[:3])
    texts = [" ".join([words[n % 3], *chosen.choices(words, k=12)]) for n in range(num_documents)]
    vectors = bundle.load_document_encoder(threads=1)(texts, CHUNKING)
    client.indices.create(index=name, body=index_body(bundle))
    actions = (
        {
            "_index": name,
            "_id": str(n),
            "_source": {"n": n, "text": text, **vector_member(bundle, text, vector)},
        }
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    )
    helpers.bulk(client, actions, refresh=True)
    return ToyIndex(client, url, bundle, name, num_documents, query_text)


def index_body(bundle: Bundle, **settings: Any) -> dict[str, Any]:  # noqa: ANN401  # any setting
    """Return an index with our field and settings, one shard."""
    meta = {"rerank": {"model": bundle.name, "source_fields": ["text"], "deadline_ms": 10_000, **settings}}
    vector = {"type": "binary", "doc_values": True}
    return {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "mappings": {"_meta": meta, "properties": {"rerank": {"properties": {"vector": vector}}}},
    }


def vector_member(bundle: Bundle, text: str, vector: np.ndarray) -> dict[str, Any]:
    """Return the member that holds a document's stored vector."""
    packed = pack(vector, text_hash=text_hash(text, CHUNKING), model_tag=bundle.model_tag)
    return {"rerank": {"vector": base64.b64encode(packed).decode()}}
