"""Sections that commands write into a document."""

import gzip
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.paths import TINY_BUNDLE
from tests.support.small_cross_encoder import write_small_cross_encoder

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import load_collection
from model_export.data.quality import fuse_scores, measure_ndcg
from model_export.errors import ExportError
from model_export.evaluation.cosines import encode_hits, score_hits
from model_export.evaluation.section import write_section
from reranker.bundle import Bundle
from tests.support.indices.small_collection import write_small_collection

pytestmark = pytest.mark.export

TINY = TINY_BUNDLE


def test_a_section_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    document = tmp_path / "d.md"
    document.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n")
    for _ in range(2):
        write_section(document, "x", ["new", "text"])
    assert document.read_text() == "before\n<!-- x: begin -->\nnew\ntext\n<!-- x: end -->\nafter\n"
    with pytest.raises(ExportError, match=r"expected <!-- y: begin --> and <!-- y: end -->, once"):
        write_section(document, "y", [])


def test_evaluate_writes_its_section_and_images(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=120, num_queries=30)
    document = tmp_path / "models.md"
    document.write_text("# Models\n<!-- quality: begin -->\n<!-- quality: end -->\n")
    options = ["--bundle", TINY, "--judged", data, "--cache", tmp_path / "cache", "--document", document]
    before = document.read_text()
    done = CliRunner().invoke(main, ["evaluate", *map(str, options)])
    assert done.exit_code == 0, done.output
    assert "| BM25 |" in done.output
    assert document.read_text() == before, "without --write nothing is written"
    assert not (tmp_path / "images").exists()
    done = CliRunner().invoke(main, ["evaluate", "--write", *map(str, options)])
    assert done.exit_code == 0, done.output
    text = document.read_text()
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    bad, errors = ["", "---", "tiny", "tiny + BM25"], ["", "---", "tiny"]
    assert rows == ["", "---", "BM25", "tiny", "tiny + BM25"] * 2 + bad + errors
    assert re.search(r"\| tiny \| 0\.\d{3} \| 0\.\d{3} \|", text), "one collection and the mean"
    assert "100 %" in text
    for image in ("pareto.svg", "reliability.svg"):
        assert "<svg" in (tmp_path / "images" / image).read_text()


def test_evaluate_takes_a_cross_encoder_as_a_graph(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=60, num_queries=5)
    teacher = write_small_cross_encoder(tmp_path / "teacher")
    options = ["--bundle", TINY, "--judged", data, "--cache", tmp_path / "cache", "--cross-encoder", teacher]
    done = CliRunner().invoke(main, ["evaluate", *map(str, options)])
    assert done.exit_code == 0, done.output
    assert "gain kept of cross-encoder + BM25" in done.output
    assert done.output.count("| cross-encoder + BM25 |") == 3


def test_queries_without_hits_are_measured_as_nothing(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=60, num_queries=5)
    lines = gzip.decompress((data / "queries.jsonl.gz").read_bytes()).decode().splitlines()
    lines[0] = json.dumps({"_id": "q0", "text": "xyzzy"})
    (data / "queries.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    document = tmp_path / "models.md"
    document.write_text("<!-- quality: begin -->\n<!-- quality: end -->\n")
    options = ["--bundle", TINY, "--judged", data, "--cache", tmp_path / "cache", "--document", document]
    done = CliRunner().invoke(main, ["evaluate", *map(str, options)])
    assert done.exit_code == 0, done.output


def test_feedback_writes_its_section(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=120, num_queries=30)
    document = tmp_path / "models.md"
    document.write_text("<!-- feedback: begin -->\n<!-- feedback: end -->\n")
    cache = tmp_path / "cache"
    options = ["--bundle", TINY, "--judged", data, "--cache", cache, "--document", document]
    before = document.read_text()
    done = CliRunner().invoke(main, ["feedback", *map(str, options)])
    assert done.exit_code == 0, done.output
    assert document.read_text() == before
    done = CliRunner().invoke(main, ["feedback", "--write", *map(str, options)])
    assert done.exit_code == 0, done.output
    lines = [line.split("|")[1:-1] for line in document.read_text().splitlines() if line.startswith("| ")]
    found = {name.strip().removeprefix("tiny, "): float(mean) for name, *_, mean, _ in lines[1:]}
    settings = ["0, 0.6", "0.3, 0", "0.3, 0.6", "0.5, 0", "0.5, 0.6"]
    assert list(found) == ["BM25", "0, 0 (its own)", *settings]
    assert lines[2][-1].strip() == "100%"
    bundle, collection = Bundle.open(TINY), load_collection(data, 30)
    vectors = encode_hits(bundle, collection, cache, threads=1)
    cosines = score_hits(collection, bundle.load_query_encoder(), vectors)
    without = measure_ndcg(collection, fuse_scores(collection.hits, cosines, bundle.manifest.fusion.weight))
    assert found["0, 0 (its own)"] == pytest.approx(without, abs=0.01), "float32 here, int8 there"
    assert len({found[name] for name in ("0, 0 (its own)", "0, 0.6", "0.5, 0")}) == 3
