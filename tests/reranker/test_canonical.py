"""Replaying canonical texts: the tiny bundle is within its own limits, and a bundle that is not is caught."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker import manifest as manifests
from reranker.bundle import Bundle
from reranker.canonical import read, replay
from reranker.crossing import Residual
from reranker.errors import BundleError
from reranker.manifest import FILE_NAME
from tests.support.paths import TINY_BUNDLE

TINY = TINY_BUNDLE
BUNDLE = Bundle.open(TINY)
CANONICAL = json.loads((TINY / BUNDLE.manifest.canonical).read_text(encoding="utf-8"))
CROSSING = "crossing.npz"


def with_canonical(tmp_path: Path, content: bytes) -> Bundle:
    """Open a copy of the tiny bundle with other canonical values and fitting checksums."""
    folder = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    name = BUNDLE.manifest.canonical
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
    manifest["checksums"][name] = hashlib.sha256(content).hexdigest()
    manifest["digest"] = manifests.digest(manifest)
    (folder / FILE_NAME).write_text(json.dumps(manifest), encoding="utf-8")
    return Bundle.open(folder)


def make_residual(folder: Path, *, seed: int) -> Path:
    """Make a copy of the tiny bundle with a residual crossing of its own, and canonical scores that fit."""
    shutil.copytree(TINY, folder)
    dim, hidden, random = BUNDLE.manifest.dim, 4, np.random.default_rng(seed)
    shapes = ((hidden, dim), (hidden,), (dim, hidden), (dim,), (2, dim), (2,))
    crossing = Residual(*(random.normal(scale=0.5, size=shape).astype(np.float32) for shape in shapes))
    crossing.write(folder / CROSSING)
    queries = np.array(CANONICAL["query_vectors"], np.float32)
    documents = np.array(CANONICAL["document_vectors"], np.float32)
    scores = [crossing(query, documents).tolist() for query in queries]
    (folder / BUNDLE.manifest.canonical).write_text(
        json.dumps(CANONICAL | {"scores": scores, "max_score_difference": 0.2})
    )
    write_checksums(folder, crossing={"type": "residual", "file": CROSSING, "hidden": hidden})
    return folder


def write_checksums(folder: Path, **changes: Any) -> None:  # noqa: ANN401  # any JSON value
    """Write a manifest that fits the files which are in the folder now."""
    manifest = json.loads((folder / FILE_NAME).read_text(encoding="utf-8")) | changes
    files = [file for file in sorted(folder.iterdir()) if file.name != FILE_NAME]
    manifest["checksums"] = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    manifest["digest"] = manifests.digest(manifest)
    (folder / FILE_NAME).write_text(json.dumps(manifest), encoding="utf-8")


def changed(tmp_path: Path, **changes: Any) -> Bundle:  # noqa: ANN401  # any JSON value
    return with_canonical(tmp_path, json.dumps(CANONICAL | changes).encode())


def test_the_tiny_bundle_is_within_its_limits() -> None:
    found = replay(BUNDLE)
    assert found.within
    assert CANONICAL["min_query_cosine"] <= found.query_cosine <= 1 + 1e-5
    assert CANONICAL["min_document_cosine"] <= found.document_cosine <= 1 + 1e-5
    assert 0 <= found.score_difference <= CANONICAL["max_score_difference"]


@pytest.mark.parametrize("key", ["query_vectors", "document_vectors"])
def test_one_vector_that_differs_is_seen(tmp_path: Path, key: str) -> None:
    vectors = [*CANONICAL[key][:-1], [-value for value in CANONICAL[key][-1]]]
    found = replay(changed(tmp_path, **{key: vectors}))
    assert not found.within
    assert min(found.query_cosine, found.document_cosine) < -0.9


def test_one_score_that_differs_is_seen(tmp_path: Path) -> None:
    scores = [[*row] for row in CANONICAL["scores"]]
    scores[-1][-1] += 1
    found = replay(changed(tmp_path, scores=scores))
    assert not found.within
    assert found.score_difference == pytest.approx(1, abs=CANONICAL["max_score_difference"])


@pytest.mark.parametrize("key", ["queries", "documents"])
def test_other_texts_are_seen(tmp_path: Path, key: str) -> None:
    assert not replay(changed(tmp_path, **{key: CANONICAL[key][::-1]})).within


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"queries": ["\xff"]}', b'{"queries": "all"}'])
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: bytes) -> None:
    bundle = with_canonical(tmp_path, content)
    with pytest.raises(
        BundleError, match=r"expected canonical texts with vectors and scores in .*, found: .*export"
    ):
        replay(bundle)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected canonical texts with vectors and scores in .*, found: "):
        read(tmp_path / "gone.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"queries": []},
        {"queries": [], "query_vectors": [], "scores": []},
        {"documents": [], "document_vectors": []},
        {"query_vectors": [[1.0]] * len(CANONICAL["queries"])},
        {"document_vectors": [*CANONICAL["document_vectors"][:-1], [1.0]]},
        {"scores": CANONICAL["scores"][:-1]},
        {"scores": [row[:-1] for row in CANONICAL["scores"]]},
    ],
)
def test_values_that_do_not_fit_together_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match=r"expected rows and lengths .*, found .*export"):
        replay(changed(tmp_path, **changes))


def test_a_crossing_of_another_bundle_of_the_same_shape_is_seen(tmp_path: Path) -> None:
    first, second = (make_residual(tmp_path / f"bundle-{seed}", seed=seed) for seed in (1, 2))
    for folder in (first, second):
        assert replay(Bundle.open(folder)).within
    own = (first / CROSSING).read_bytes()
    (first / CROSSING).write_bytes((second / CROSSING).read_bytes())
    (second / CROSSING).write_bytes(own)
    for folder in (first, second):
        with pytest.raises(BundleError, match=rf"{folder / CROSSING}: expected SHA-256 .*, found .*changed"):
            Bundle.open(folder)
        write_checksums(folder)
        found = replay(Bundle.open(folder))
        assert found.query_cosine > CANONICAL["min_query_cosine"], "the towers are as they were"
        assert not found.within, "a manifest that was written again hides it from opening, not from `check`"
