"""Calibration and the table, on a collection small enough to know the answer."""

import gzip
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from tests.support.paths import TINY_BUNDLE

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import JudgedCollection, load_collection
from model_export.data.quality import fuse_scores, measure_ndcg
from model_export.evaluation.calibrate import NEGATIVES, WEIGHTS, fit_calibration, measure_weights
from model_export.evaluation.shipped import rank_as_shipped
from reranker.beir_files import CollectionError
from reranker.bundle import Bundle
from reranker.manifest import FusionDefault
from tests.bundles.make_tiny import make_tiny
from tests.support.indices.small_collection import write_small_collection

pytestmark = pytest.mark.export

TINY = TINY_BUNDLE
TEXTS = [
    "read a file",
    "wait a second",
    "sort the lines",
    "how to drill",
    "file of lines",
    "second hand drill",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection in which each document is also a query, and answers it."""
    folder = tmp_path / "small"
    folder.mkdir()
    _write(folder / "corpus.jsonl.gz", (json.dumps({"_id": f"d{i}", "text": t}) for i, t in enumerate(TEXTS)))
    _write(
        folder / "queries.jsonl.gz", (json.dumps({"_id": f"q{i}", "text": t}) for i, t in enumerate(TEXTS))
    )
    lines = (f"q{i}\td{i}\t1" for i in range(len(TEXTS)))
    _write(folder / "qrels.tsv.gz", ("query-id\tcorpus-id\tscore", *lines))
    return folder


def _write(file: Path, lines: Iterable[str]) -> None:
    file.write_bytes(gzip.compress("\n".join(lines).encode()))


def test_bm25_finds_each_document_by_its_own_text(folder: Path) -> None:
    data = load_collection(folder)
    assert [max(hits, key=hits.__getitem__) for hits in data.hits.values()] == list(data.documents)
    assert measure_ndcg(data, data.hits) == 1


def test_fewer_queries_and_a_missing_file(folder: Path) -> None:
    assert list(load_collection(folder, 2).queries) == ["q0", "q1"]
    (folder / "corpus.jsonl.gz").unlink()
    with pytest.raises(CollectionError, match=r"found no corpus\.jsonl, plain or gzipped"):
        load_collection(folder)


def test_calibration_recovers_the_logistic_that_made_the_labels() -> None:
    generator, scale, offset = np.random.default_rng(1), 12.0, -7.0
    cosines = generator.uniform(0.2, 0.9, (1000, NEGATIVES))
    relevant = generator.uniform(size=cosines.shape) < 1 / (1 + np.exp(-(scale * cosines + offset)))
    queries = {f"q{i}": "" for i in range(len(cosines))}
    documents = [f"d{j}" for j in range(NEGATIVES)]
    qrels = {
        q: dict(zip(documents, row.tolist(), strict=True)) for q, row in zip(queries, relevant, strict=True)
    }
    scores = {
        q: dict(zip(documents, row.tolist(), strict=True)) for q, row in zip(queries, cosines, strict=True)
    }
    run = {q: dict.fromkeys(documents, 1.0) for q in queries}
    data = JudgedCollection("made", {}, queries, qrels, run), scores
    found = fit_calibration([data], [data], {0.0: 0.5, 2.0: 0.7, 5.0: 0.6})
    assert found.weight == 2
    assert found.scale == pytest.approx(scale, rel=0.1)
    assert found.offset == pytest.approx(offset, rel=0.1)


def test_weights_are_tried_as_searches_order(tmp_path: Path) -> None:
    bundle, data = (
        Bundle.open(TINY),
        load_collection(write_small_collection(tmp_path / "stdlib", num_documents=100, num_queries=40)),
    )
    own = FusionDefault("log_linear", 1.0, feedback=0.5, smoothing=0.6)
    found = measure_weights(bundle, [data], own, tmp_path)
    assert list(found) == [float(weight) for weight in WEIGHTS]
    for weight in (0.1, 24.0):
        [run] = rank_as_shipped(bundle, data, [msgspec.structs.replace(own, weight=weight)], tmp_path)
        assert found[weight] == measure_ndcg(data, run)
    alone = measure_weights(bundle, [data], FusionDefault("log_linear", 1.0), tmp_path)
    assert alone != found, "feedback and smoothing are not left out"


def test_fusion_with_weight_0_keeps_the_first_stage() -> None:
    order = fuse_scores({"q": {"a": 3.0, "b": 2.0, "c": 1.0}}, {"q": {"a": 0.0, "b": 0.5, "c": 1.0}}, 0)["q"]
    assert sorted(order, key=order.__getitem__, reverse=True) == ["a", "b", "c"]


def test_calibrate_writes_the_manifest_and_leaves_stored_vectors_valid(folder: Path, tmp_path: Path) -> None:
    bundle, cache = tmp_path / "tiny", tmp_path / "cache"
    shutil.copytree(TINY, bundle)
    arguments = ["calibrate", str(bundle), "--pairs", str(folder), "--cache", str(cache)]
    for _ in range(2):  # the second run reads the cached vectors
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
    before, after = Bundle.open(TINY).manifest, Bundle.open(bundle).manifest
    assert after.document_digest == before.document_digest
    assert after.digest != before.digest
    assert after.crossing != before.crossing
    assert after.fusion.weight in WEIGHTS
    assert after.trained_on == ("calibrated on small",)
    assert len(list(cache.iterdir())) == 1
    changed = CliRunner().invoke(main, [*arguments, "--feedback", "0.5", "--smoothing", "0.6"])
    assert changed.exit_code == 0, changed.output
    assert CliRunner().invoke(main, [*arguments, "--kept-queries"]).exit_code == 0
    kept = Bundle.open(bundle).manifest.fusion
    assert (kept.feedback, kept.smoothing) == (0.5, 0.6), "kept if no option is given"
    assert "not in the range" in CliRunner().invoke(main, [*arguments, "--feedback", "3"]).output


def test_table_has_a_row_for_each_encoder(folder: Path, tmp_path: Path) -> None:
    base, cache = make_tiny(tmp_path / "base"), tmp_path / "cache"
    cache.mkdir()
    options = ["--base", str(base), "--bundle", str(TINY), "--judged", str(folder), "--cache", str(cache)]
    done = CliRunner().invoke(main, ["table", *options])
    assert done.exit_code == 0, done.output
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in done.stdout.splitlines()
        if line.startswith("|")
    ]
    assert [row[0] for row in rows] == ["query encoder", "---", "BM25", "tiny fp32", "tiny int8"]
    assert rows[2][1] == "1.000"
