"""The bundles that are committed: whole, small enough, and what torch says on this machine too."""

from pathlib import Path

import numpy as np
import pytest

from reranker.bundle import BUNDLES, DEFAULT_BUNDLE, Bundle
from reranker.canonical import replay
from reranker.text import Chunking
from tests.support.paths import TINY_BUNDLE

TINY = TINY_BUNDLE
FAST = BUNDLES / "bge-small-en-v1.5-fast"
LIGHT = BUNDLES / "bge-small-en-v1.5-light"
MAX_BYTES = 50_000_000
MAX_OWN_BYTES = {FAST: 21_000_000, LIGHT: 300_000}
"""What a bundle has for itself that shares files: light's towers are fast's and the default's."""
FORBIDDEN = ("homedepot", "nfcorpus", "msmarco", "wikiqa", "trecqa")
"""Collections that are for evaluation alone."""


@pytest.mark.parametrize("path", [DEFAULT_BUNDLE, LIGHT, FAST, TINY], ids=lambda path: path.name)
def test_canonical_texts_replay(path: Path) -> None:
    assert replay(Bundle.open(path)).within


def test_default_bundle_is_small_and_says_where_it_comes_from() -> None:
    assert sum(file.stat().st_size for file in DEFAULT_BUNDLE.iterdir()) <= MAX_BYTES
    manifest = Bundle.open(DEFAULT_BUNDLE).manifest
    assert (manifest.base, manifest.licence) == ("BAAI/bge-small-en-v1.5", "MIT")
    assert "openstax (CC BY 4.0)" in manifest.trained_on
    assert not any(name in source for source in manifest.trained_on for name in FORBIDDEN)


@pytest.mark.parametrize("path", [LIGHT, FAST], ids=lambda path: path.name)
def test_it_serves_the_default_bundles_vectors_and_says_what_it_learned_from(path: Path) -> None:
    bundle, default = Bundle.open(path), Bundle.open(DEFAULT_BUNDLE)
    assert (bundle.name, bundle.vectors_of, bundle.model_tag) == (path.name, default.name, default.model_tag)
    names = ("weights.bin", "document_encoder.onnx", "tokenizer.json")
    assert all(bundle.files[name] == default.files[name] for name in names)
    assert sum(file.stat().st_size for file in path.iterdir()) <= MAX_OWN_BYTES[path]
    assert bundle.manifest.licence == "MIT"
    assert "openstax (CC BY 4.0)" in bundle.manifest.trained_on
    assert not any(name in source for source in bundle.manifest.trained_on for name in FORBIDDEN)


@pytest.mark.parametrize("path", [LIGHT, FAST], ids=lambda path: path.name)
def test_sharing_files_changes_no_digest_that_an_index_knows(path: Path) -> None:
    """The values of version 0.1, when each bundle had all its files."""
    manifest = Bundle.open(path).manifest
    assert manifest.document_digest == "c43ff339c607ca04b9a65247025191338d30350dc501cb50fb8091a6359108be"
    if path == FAST:
        assert manifest.digest == "1acaa8ed374b2c997ba604496a3e53719dfd969720394b2b31080c1bc02f54bc"


@pytest.mark.parametrize("path", [LIGHT, FAST], ids=lambda path: path.name)
def test_its_queries_are_near_the_default_bundles(path: Path) -> None:
    queries = ("how to wait a bit", "capital of a country", "train a dog to be home alone", "boundary layer")
    found, default = Bundle.open(path).load_query_encoder(), Bundle.open(DEFAULT_BUNDLE).load_query_encoder()
    assert min(float(found(query) @ default(query)) for query in queries) > 0.85


def test_light_bundle_reads_long_queries_as_the_default_does() -> None:
    light, default, fast = (Bundle.open(path).load_query_encoder() for path in (LIGHT, DEFAULT_BUNDLE, FAST))
    short = "how long does a dog stay at home alone in a day"
    long = "how long can a dog stay at home alone in a day without being sad"
    assert (light.num_tokens(short), light.num_tokens(long)) == (14, 17)
    assert Bundle.open(LIGHT).manifest.whole_beyond == 14
    np.testing.assert_array_equal(light(short), fast(short))
    np.testing.assert_array_equal(light(long), default(long))


@pytest.mark.parametrize("path", [DEFAULT_BUNDLE, LIGHT, FAST], ids=lambda path: path.name)
def test_a_bundle_finds_the_fitting_document(path: Path) -> None:
    bundle = Bundle.open(path)
    documents = [
        "Suspend execution for the given number of seconds.",
        "Return the sum of the items of a list.",
    ]
    vectors = np.concatenate(bundle.load_document_encoder(threads=1)(documents, Chunking()))
    encode, crossing = bundle.load_query_encoder(), bundle.load_crossing()
    queries = {
        "how to wait a bit": 0,
        "pause a program for a while": 0,
        "add up numbers": 1,
        "total of a list": 1,
    }
    scores = np.stack([crossing(encode(query), vectors) for query in queries])
    margins = [row[fitting] - row[1 - fitting] for row, fitting in zip(scores, queries.values(), strict=True)]
    assert min(margins) > 0.04
    assert np.mean(margins) > 0.15


def test_document_vector_does_not_depend_on_its_batch() -> None:
    encode = Bundle.open(DEFAULT_BUNDLE).load_document_encoder(threads=1)
    texts = ["a short one", "wait " * 100]
    together, alone = encode(texts, Chunking()), encode(texts[:1], Chunking())
    np.testing.assert_allclose(together[0], alone[0], atol=1e-5)


def test_tiny_bundle_tells_texts_apart() -> None:
    encode = Bundle.open(TINY).load_query_encoder()
    vectors = np.stack([encode(text) for text in ("read a file", "cordless drill", "x", "")])
    cosines = vectors @ vectors.T
    assert cosines[~np.eye(4, dtype=bool)].max() < 0.97
