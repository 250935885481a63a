"""What is written: sources, with or without what is ours, and the words of their texts."""

from typing import Any

import numpy as np

from opensearch.fields import stored_vectors
from reranker.stored_vector import pack
from reranker.text import text_hash
from tests.support.indices.toy_index import CHUNKING, known_words
from tests.support.paths import TINY_BUNDLE
from tests.support.sync_run import BUNDLE

Source = dict[str, Any]


def vector_of(text: str) -> str:
    """Return a stored vector with the hash of that text."""
    values = np.full((1, BUNDLE.manifest.dim), BUNDLE.manifest.dim**-0.5, np.float32)
    packed = pack(values, text_hash=text_hash(text, CHUNKING), model_tag=BUNDLE.model_tag)
    return stored_vectors.encode(packed)


def bare(source: Source) -> Source:
    """Return a source without what is ours."""
    return {key: value for key, value in source.items() if key != "rerank"}


def words() -> list[str]:
    """Return words that the tiny bundle knows."""
    return known_words(TINY_BUNDLE)
