"""Measures on small cases that can be counted by hand, and the sections that commands write."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.paths import TINY_BUNDLE

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import JudgedCollection, load_collection
from model_export.data.quality import fuse_scores, measure_ndcg
from model_export.errors import ExportError
from model_export.evaluation.cosines import encode_hits, score_hits
from model_export.evaluation.measures import (
    average_collections,
    bin_probabilities,
    estimate_interval,
    measure_queries,
)
from model_export.evaluation.section import write_section
from model_export.evaluation.speed import TransformerShape, describe_processor, measure_speed
from reranker.bundle import Bundle
from tests.support.small_collection import write_small_collection

pytestmark = pytest.mark.export

TINY = TINY_BUNDLE
GRADES = {"q": {"a": 1, "b": 0, "c": 2}, "r": {"a": 1}}
DATA = JudgedCollection("made", {}, {"q": "", "r": ""}, GRADES, None)
SCORES = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}


def test_measures_of_a_case_that_can_be_counted() -> None:
    found = measure_queries(DATA, {"q": SCORES, "r": {}})
    assert found["RR@10"].tolist() == [1.0, 0.0]
    ideal = 2 + 1 / math.log2(3)
    assert found["nDCG@10"][0] == pytest.approx((1 + 2 / 2) / ideal)
    assert found["ROC-AUC"][0] == 3 / 4, "a before b and d, c before d, but b before c"
    assert np.isnan(found["ROC-AUC"][1]), "no hits, no order"
    assert found["bad@10"].tolist() == [1.0, 0.0], "d was not judged"
    assert found["bad/judged@10"][0] == 1 / 3
    assert np.isnan(found["bad/judged@10"][1]), "nothing was shown"


def test_where_nothing_is_judged_bad_every_other_hit_counts_as_judged() -> None:
    data = JudgedCollection("made", {}, {"q": ""}, {"q": {"a": 1}}, None)
    found = measure_queries(data, {"q": SCORES})
    assert (found["bad@10"][0], found["bad/judged@10"][0]) == (3, 3 / 4)


@settings(deadline=None)
@given(
    scores=st.lists(st.integers(0, 5), min_size=2, max_size=12),
    grades=st.lists(st.integers(0, 1), min_size=12, max_size=12),
)
def test_the_auc_is_the_share_of_ordered_pairs(scores: list[int], grades: list[int]) -> None:
    run = {str(i): float(score) for i, score in enumerate(scores)}
    qrels = {str(i): grades[i] for i in range(len(scores))}
    found = measure_queries(JudgedCollection("x", {}, {"q": ""}, {"q": qrels}, None), {"q": run})["ROC-AUC"][
        0
    ]
    pairs = [
        (run[i] > run[j]) + (run[i] == run[j]) / 2 for i in run for j in run if qrels[i] and not qrels[j]
    ]
    assert found == pytest.approx(np.mean(pairs)) if pairs else np.isnan(found)


def test_a_calibrated_model_has_no_calibration_error() -> None:
    probabilities = np.repeat([0.05, 0.55, 1.0], [20, 20, 10])
    relevant = np.array([True] + [False] * 19 + [True] * 11 + [False] * 9 + [True] * 10)
    fit = bin_probabilities(probabilities, relevant)
    assert fit.error == pytest.approx(0, abs=1e-9)
    assert fit.count.tolist() == [20, 20, 10]
    assert bin_probabilities(probabilities, ~relevant).error > 0.5


def test_the_interval_holds_the_mean_and_narrows_with_more_queries() -> None:
    random = np.random.default_rng(0)
    few, many = random.uniform(size=20), random.uniform(size=2000)
    for values in (few, many):
        low, high = estimate_interval([values, values])
        assert low < average_collections([values]) < high
    widths = [high - low for low, high in (estimate_interval([few]), estimate_interval([many]))]
    assert widths[1] < widths[0] / 5


def test_a_section_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    document = tmp_path / "d.md"
    document.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n")
    for _ in range(2):
        write_section(document, "x", ["new", "text"])
    assert document.read_text() == "before\n<!-- x: begin -->\nnew\ntext\n<!-- x: end -->\nafter\n"
    with pytest.raises(ExportError, match=r"expected <!-- y: begin --> and <!-- y: end -->, once"):
        write_section(document, "y", [])


def test_the_speed_table_has_a_row_for_each_way_and_the_slowest_first() -> None:
    shapes = (TransformerShape(2, 64, 2), TransformerShape(1, 64, 2), TransformerShape(1, 64, 2))
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in measure_speed(Bundle.open(TINY), threads=1, rounds=1, shapes=shapes)
    ][2:]
    assert [row[0].split(",")[0] for row in rows[:2]] == ["cross-encoder"] * 2
    assert rows[0][2] == "1.0"
    assert len(rows) == 8
    assert all(float(row[1].replace(",", "")) > 0 for row in rows)
    assert "avx" in describe_processor() or "(" in describe_processor()


def test_evaluate_writes_its_section_and_images(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=120, num_queries=30)
    document = tmp_path / "models.md"
    document.write_text("# Models\n<!-- quality: begin -->\n<!-- quality: end -->\n")
    options = ["--bundle", TINY, "--judged", data, "--cache", tmp_path / "cache", "--document", document]
    done = CliRunner().invoke(main, ["evaluate", *map(str, options)])
    assert done.exit_code == 0, done.output
    text = document.read_text()
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")]
    assert rows == ["", "---", "BM25", "tiny", "tiny + BM25"] * 2
    assert "100 %" in text
    for image in ("pareto.svg", "reliability.svg"):
        assert "<svg" in (tmp_path / "images" / image).read_text()


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
    done = CliRunner().invoke(main, ["feedback", *map(str, options)])
    assert done.exit_code == 0, done.output
    lines = [line.split("|")[1:-1] for line in document.read_text().splitlines() if line.startswith("| ")]
    found = {name.strip().removeprefix("tiny, "): float(mean) for name, *_, mean, _ in lines[1:]}
    settings = ["0, 0.6", "0.3, 0", "0.3, 0.6", "0.5, 0", "0.5, 0.6"]
    assert list(found) == ["BM25", "0, 0 (its own)", *settings]
    assert lines[2][-1].strip() == "100%"
    bundle, collection = Bundle.open(TINY), load_collection(data, 30)
    vectors = encode_hits(bundle, collection, cache, threads=1)
    cosines = score_hits(collection, bundle.query_encoder(), vectors)
    without = measure_ndcg(collection, fuse_scores(collection.hits, cosines, bundle.manifest.fusion.weight))
    assert found["0, 0 (its own)"] == pytest.approx(without, abs=0.01), "float32 here, int8 there"
    assert len({found[name] for name in ("0, 0 (its own)", "0, 0.6", "0.5, 0")}) == 3
