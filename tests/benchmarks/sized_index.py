"""Indices whose documents have a given size, for what depends on it; vectors are random, texts are real."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from opensearch.settings.table import RerankSettings
from plugin.demo.docstrings import read_standard_library
from reranker.bundle import Bundle
from reranker.stored_vector import pack

_NUM_WORDS = 50
"""Titles are drawn from so many words, so that a query of five of them matches half of the documents."""


@dataclass(frozen=True)
class SizedIndex:
    """An index of documents of `num_bytes` each, their vector not counted."""

    name: str
    num_bytes: int
    settings: RerankSettings


def query_texts(count: int) -> list[str]:
    """Return texts of five different words of the titles."""
    drawn, words = random.Random(1), _words()
    return [" ".join(drawn.sample(words, 5)) for _ in range(count)]


def make_sized_index(url: str, bundle: Bundle, num_bytes: int, num_documents: int) -> SizedIndex:
    """Make the index, anew where there is one."""
    name = f"sized-{num_bytes}"
    settings = RerankSettings(model=bundle.name, source_fields=("title",), deadline_ms=5_000)
    meta = {"rerank": {"model": bundle.name, "source_fields": ["title"], "deadline_ms": 5_000}}
    properties = {
        "rerank": {"properties": {"vector": {"type": "binary", "doc_values": True}}},
        "parts": {"type": "nested"},
    }
    with OpenSearch(url, timeout=120) as client:
        client.indices.delete(index=name, ignore_unavailable=True)
        client.indices.create(
            index=name,
            body={
                "settings": {"number_of_shards": 1, "number_of_replicas": 0},
                "mappings": {"_meta": meta, "properties": properties},
            },
        )
        sources = _documents(bundle, num_bytes, num_documents)
        actions = ({"_index": name, "_id": str(n), "_source": each} for n, each in enumerate(sources))
        helpers.bulk(client, actions, chunk_size=200)
        client.indices.forcemerge(index=name, max_num_segments=1)
        client.indices.refresh(index=name)
    return SizedIndex(name, num_bytes, settings)


def _documents(bundle: Bundle, num_bytes: int, count: int) -> Iterator[dict[str, Any]]:
    drawn, normal = random.Random(num_bytes), np.random.default_rng(num_bytes)
    words, prose = _words(), _prose()
    for number in range(count):
        parts = [{"say": " ".join(drawn.choices(words, k=2))} for _ in range(2)]
        source = {"title": " ".join(drawn.choices(words, k=8)), "n": number, "parts": parts, "text": ""}
        start = drawn.randrange(len(prose) - num_bytes)
        source["text"] = prose[start : start + max(0, num_bytes - len(json.dumps(source)))]
        row = normal.normal(size=(1, bundle.manifest.dim))
        unit = (row / np.linalg.norm(row)).astype(np.float32)
        vector = base64.b64encode(pack(unit, text_hash=0, model_tag=bundle.model_tag)).decode()
        yield {**source, "rerank": {"vector": vector}}


@cache
def _prose() -> str:
    return "\n".join(document.text for document in read_standard_library())


@cache
def _words() -> list[str]:
    return [name.name for name in read_standard_library() if name.name.isalpha()][:_NUM_WORDS]
