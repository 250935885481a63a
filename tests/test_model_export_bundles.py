"""The bundles that are committed: whole, small enough, and what torch says on this machine too."""

from pathlib import Path

import numpy as np
import pytest

from reranker.bundle import DEFAULT_BUNDLE, Bundle
from reranker.canonical import replay
from reranker.text import Chunking

TINY = Path(__file__).parent / "bundles" / "tiny"
MAX_BYTES = 50_000_000


@pytest.mark.parametrize("path", [DEFAULT_BUNDLE, TINY], ids=lambda path: path.name)
def test_canonical_texts_replay(path: Path) -> None:
    assert replay(Bundle.open(path)).within


def test_default_bundle_is_small_and_says_where_it_comes_from() -> None:
    assert sum(file.stat().st_size for file in DEFAULT_BUNDLE.iterdir()) <= MAX_BYTES
    manifest = Bundle.open(DEFAULT_BUNDLE).manifest
    assert (manifest.base, manifest.licence) == ("BAAI/bge-small-en-v1.5", "MIT")


def test_default_bundle_finds_the_fitting_document() -> None:
    bundle = Bundle.open(DEFAULT_BUNDLE)
    documents = [
        "Suspend execution for the given number of seconds.",
        "Return the sum of the items of a list.",
    ]
    vectors = np.concatenate(bundle.document_encoder(threads=1)(documents, Chunking()))
    scores = bundle.crossing()(bundle.query_encoder()("how to wait a bit"), vectors)
    assert scores[0] > scores[1] + 0.1


def test_document_vector_does_not_depend_on_its_batch() -> None:
    encode = Bundle.open(DEFAULT_BUNDLE).document_encoder(threads=1)
    texts = ["a short one", "wait " * 100]
    together, alone = encode(texts, Chunking()), encode(texts[:1], Chunking())
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)


def test_tiny_bundle_tells_texts_apart() -> None:
    encode = Bundle.open(TINY).query_encoder()
    vectors = np.stack([encode(text) for text in ("read a file", "cordless drill", "x", "")])
    cosines = vectors @ vectors.T
    assert cosines[~np.eye(4, dtype=bool)].max() < 0.97
