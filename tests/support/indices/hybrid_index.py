"""An index for hybrid and vector searches: texts, k-NN vectors and stored vectors of the same bundle."""

import base64
import json
import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from reranker.bundle import Bundle
from reranker.hybrid_scores import SCALES
from reranker.integer_query import round_query
from reranker.stored_vector import unpack
from tests.support.indices.toy_index import CHUNKING, index_body, known_words, vector_member

PIPELINES: dict[str, dict[str, Any]] = {
    "min_max": {"normalization-processor": {"normalization": {"technique": "min_max"}}},
    "l2": {
        "normalization-processor": {
            "normalization": {"technique": "l2"},
            "combination": {"technique": "arithmetic_mean", "parameters": {"weights": [0.3, 0.7]}},
        }
    },
    "rrf": {"score-ranker-processor": {"combination": {"technique": "rrf"}}},
}
"""Technique -> the one processor of a pipeline; all of them are there in 2.19."""

WITHOUT_VECTOR = 7
"""Every so many documents lack a stored vector."""


@dataclass(frozen=True)
class HybridIndex:
    """Documents of which some match the words of `query_text`, and each has an `embedding`."""

    client: OpenSearch
    bundle: Bundle
    name: str
    num_documents: int
    query_text: str

    @property
    def knn(self) -> dict[str, Any]:
        """Return the vector search for the text."""
        vector = self.bundle.load_query_encoder()(self.query_text).tolist()
        return {"knn": {"embedding": {"vector": vector, "k": self.num_documents}}}

    def query(self, depth: int | None = None) -> dict[str, Any]:
        """Return the hybrid query, with a `pagination_depth` unless that is None."""
        parts = [{"match": {"text": self.query_text}}, self.knn]
        return {"hybrid": {"queries": parts} | ({} if depth is None else {"pagination_depth": depth})}

    def hits(self, body: dict[str, Any], pipeline: str | None = None) -> list[dict[str, Any]]:
        """Return OpenSearch's own hits."""
        params = {} if pipeline is None else {"search_pipeline": pipeline}
        found: list[dict[str, Any]] = self.client.search(index=self.name, body=body, params=params)["hits"][
            "hits"
        ]
        return found

    def fuse(self, hits: list[dict[str, Any]], technique: str | None) -> dict[str, float]:
        """Return the fused value of each hit of a window by its id, computed one by one."""
        query, crossing = round_query(self.bundle.load_query_encoder()(self.query_text)), {}
        for hit in hits:
            if "rerank" in hit["_source"]:
                stored = unpack(base64.b64decode(hit["_source"]["rerank"]["vector"]))
                crossing[hit["_id"]] = float((stored.values @ query).max())
        neutral = float(np.median(list(crossing.values()))) if crossing else 0.0
        best, weight = hits[0]["_score"], self.bundle.manifest.fusion.weight
        first = {
            hit["_id"]: np.log(hit["_score"])
            if technique is None
            else SCALES[technique] * hit["_score"] / best
            for hit in hits
        }
        return {id_: float(value + weight * crossing.get(id_, neutral)) for id_, value in first.items()}


def put_pipelines(client: OpenSearch) -> None:
    """Create a search pipeline for each technique, of its name."""
    for name, processor in PIPELINES.items():
        client.transport.perform_request(
            "PUT", f"/_search/pipeline/{name}", body={"phase_results_processors": [processor]}
        )


def make_hybrid_index(
    client: OpenSearch, bundle: Bundle, name: str, *, num_shards: int, num_documents: int = 90
) -> HybridIndex:
    """Make the index; two documents in three have a word of the query."""
    words, chosen = known_words(bundle.path), random.Random(6)
    asked, others = words[:3], words[3:]
    texts = [
        " ".join([*(asked[: n % 3]), *chosen.choices(others, k=chosen.randint(3, 15))])
        for n in range(num_documents)
    ]
    vectors = bundle.load_document_encoder(threads=1)(texts, CHUNKING)
    body = index_body(bundle)
    body["settings"] |= {"number_of_shards": num_shards, "index.knn": True}
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    body["mappings"]["properties"]["embedding"] = {
        "type": "knn_vector", "dimension": bundle.manifest.dim, "method": method
    }  # fmt: skip
    client.indices.create(index=name, body=body)
    actions = (
        {"_index": name, "_id": str(n), "_source": {
            "n": n, "text": text, "embedding": vector[0].tolist(),
            **({} if n % WITHOUT_VECTOR == 0 else vector_member(bundle, text, vector)),
        }}
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    )  # fmt: skip
    helpers.bulk(client, actions, refresh=True)
    return HybridIndex(client, bundle, name, num_documents, " ".join(asked))


def without_ours(body: bytes) -> Any:  # noqa: ANN401  # any JSON
    """Return a response without the stored vectors and its duration."""
    found = json.loads(body)
    found.pop("took", None)
    for hit in found.get("hits", {}).get("hits", ()):
        hit["_source"].pop("rerank", None)
    return found
