"""The model alone, without HTTP: encoding a query, and crossing a window."""

from collections.abc import Iterator

import numpy as np

from reranker.bundle import Bundle
from reranker.fusion import choose_fusion
from reranker.rerank import rank
from reranker.stored_vector import pack
from reranker.tokens import Tokens
from reranker.window_vectors import score_vectors
from tests.benchmarks.samples import Figure, median, timed_ms

LENGTHS_TOKENS = (8, 12, 16, 32)
BUDGET_TOKENS, BUDGET_MS = 12, 4.5
WINDOW = 100
_WORDS = "how to read every line of a large file without loading all of it into memory at the same time " * 3


def query_encoding(bundle: Bundle, repeats: int) -> Iterator[Figure]:
    """Yield the time to tokenise and encode queries of several lengths, special tokens and prefix counted."""
    tower = bundle.manifest.query
    encoder = bundle.load_encoder(tower.file, threads=1)
    for length in LENGTHS_TOKENS:
        tokens = Tokens(bundle.files[bundle.manifest.tokenizer], max_tokens=length, prefix=tower.prefix)
        durations = timed_ms(lambda tokens=tokens: encoder.encode_ids([tokens.query(_WORDS)]), repeats)  # type: ignore[misc]
        yield median(
            f"encode a query of {length} tokens, one thread", durations, 4.5 if length == 12 else None
        )


def crossing(bundle: Bundle, repeats: int) -> Iterator[Figure]:
    """Yield the time to read 100 stored vectors and score them, and to fuse and order them."""
    random = np.random.default_rng(0)
    vectors = random.standard_normal((WINDOW + 1, bundle.manifest.dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    packed = [pack(vector[None], text_hash=0, model_tag=bundle.model_tag) for vector in vectors[1:]]
    query, layer = vectors[0], bundle.load_crossing()
    scores = score_vectors(query, packed, layer, bundle.model_tag)
    first_stage = np.sort(random.random(WINDOW) * 20)[::-1]
    documents = vectors[1:]
    cross_ms = timed_ms(lambda: layer(query, documents), repeats)
    unpack_ms = timed_ms(lambda: score_vectors(query, packed, layer, bundle.model_tag), repeats)
    fuse = choose_fusion("log_linear", bundle.manifest.fusion.weight, 60)
    rank_ms = timed_ms(lambda: rank(first_stage, scores, fuse), repeats)
    yield median("crossing of 100 documents alone", cross_ms, 0.02)
    yield median("read 100 stored vectors and cross them", unpack_ms)
    yield median("fuse and order 100 hits", rank_ms)
