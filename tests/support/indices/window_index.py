"""An index whose first stage and vectors are known: what a rescored window must look like, in numpy."""

import base64
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from reranker.bundle import Bundle
from reranker.integer_query import round_query
from reranker.stored_vector import pack, unpack
from tests.support.indices.toy_index import index_body, known_words

NUM_DOCUMENTS = 1_200
UNUSABLE = {
    "missing": {},
    "corrupt": {"rerank": {"vector": "QUJD"}},
    "foreign": {"rerank": {"vector": base64.b64encode(
        pack(np.ones((1, 32), np.float32), text_hash=0, model_tag=1)).decode()}},
}  # fmt: skip
"""Members of documents without a usable vector."""

NUM_HITS = NUM_DOCUMENTS + len(UNUSABLE)


@dataclass(frozen=True)
class WindowIndex:
    """Documents that all match `query`, over some shards, three of them without a usable vector."""

    client: OpenSearch
    bundle: Bundle
    name: str
    num_shards: int
    query_text: str

    @property
    def query(self) -> dict[str, Any]:
        """The query that matches them."""
        return {"match": {"text": self.query_text}}

    def first_stage(self, shard: int | None = None) -> list[dict[str, Any]]:
        """Return every hit in OpenSearch's own order, of one shard or of all."""
        place = {} if shard is None else {"preference": f"_shards:{shard}"}
        body = {"query": self.query, "size": 2 * NUM_DOCUMENTS}
        found = self.client.search(index=self.name, body=body, params=place)
        hits: list[dict[str, Any]] = found["hits"]["hits"]
        return hits

    def rescored(self, window: int) -> dict[str, float]:
        """Return each hit's `_score` after the first `window` of every shard were rescored, by its id."""
        query = round_query(self.bundle.load_query_encoder()(self.query_text))
        scores = {}
        for shard in range(self.num_shards):
            for rank, hit in enumerate(self.first_stage(shard)):
                factor = self._factor(query, hit) if rank < window else 1.0
                scores[hit["_id"]] = hit["_score"] * factor
        return scores

    def _factor(self, query: np.ndarray, hit: dict[str, Any]) -> float:
        manifest = self.bundle.manifest
        crossing = manifest.neutral_crossing
        if hit["_id"] not in UNUSABLE:
            stored = unpack(base64.b64decode(hit["_source"]["rerank"]["vector"]))
            crossing = float((stored.values @ query).max())
        return float(np.exp(manifest.fusion.weight * (1 + crossing)))


def make_window_index(client: OpenSearch, bundle: Bundle, name: str, num_shards: int) -> WindowIndex:
    """Make the index: random texts of known words, and random unit vectors of one or two chunks."""
    words = known_words(bundle.path)
    chosen, drawn = random.Random(9), np.random.default_rng(9)
    query_text = " ".join(words[:3])
    body = index_body(bundle)
    body["settings"]["number_of_shards"] = num_shards
    body["mappings"]["properties"]["kind"] = {"type": "keyword"}
    client.indices.create(index=name, body=body)

    def source(number: int) -> dict[str, Any]:
        text = " ".join([words[number % 3], *chosen.choices(words, k=chosen.randint(5, 20))])
        rows = drawn.normal(size=(1 + number % 2, bundle.manifest.dim))
        unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        packed = pack(unit, text_hash=0, model_tag=bundle.model_tag)
        return {"n": number, "kind": str(number % 5), "text": text,
                "rerank": {"vector": base64.b64encode(packed).decode()}}  # fmt: skip

    documents = {str(number): source(number) for number in range(NUM_DOCUMENTS)}
    documents |= {
        key: {"n": -1, "kind": "x", "text": query_text, **member} for key, member in UNUSABLE.items()
    }
    actions = ({"_index": name, "_id": key, "_source": each} for key, each in documents.items())
    helpers.bulk(client, actions, refresh=True)
    return WindowIndex(client, bundle, name, num_shards, query_text)
