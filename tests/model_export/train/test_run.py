"""The whole chain on a small real collection: teacher, distillation, alignment, export."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from opensearchpy import OpenSearch

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.model.base import load_base
from model_export.train.loop import CURVE, LOG
from model_export.train.score_cache import score_once
from model_export.train.teacher import CrossEncoder, Ensemble
from plugin.harness.proxy_process import running_proxy
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from reranker.canonical import replay
from tests.bundles.make_tiny import make_tiny
from tests.support.http.raw_http import ids, search
from tests.support.indices.small_collection import write_small_collection
from tests.support.indices.toy_index import WINDOW, make_toy_index
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export

STUDENT = """
[model]
name = "small-letters"
licence = "Apache-2.0"
input = "tri_letters"
vocabulary = 2000
pooling = "weighted"
hidden = 64
intermediate = 128
num_layers = 1

[[data.train]]
kind = "beir"
path = "{data}"
licence = "PSF-2.0"
[data]
dev_share = 0.3

[teacher]
encoders = ["{teacher}"]

[distil]
objective = "{objective}"
negatives = 4
student_negatives = 1

[run]
epochs = {epochs}
batch_size = 16
learning_rate = 0.002
evaluate_every = 10
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_collection(
        tmp_path_factory.mktemp("data") / "stdlib", num_documents=250, num_queries=110
    )


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student from random weights, with tri-letters and weighted pooling, taught by the default bundle."""
    out = tmp_path_factory.mktemp("trained")
    text = STUDENT.format(data=data, teacher=DEFAULT_BUNDLE, objective="cross_entropy", epochs=6)
    (out / "student.toml").write_text(text)
    done = command("train", out / "student.toml", "--out", out / "run")
    assert done.exit_code == 0, done.output
    return out / "run"


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


def test_the_student_is_better_than_its_start(trained: Path) -> None:
    looks = log_of(trained / "round-1")
    assert max(look["measure"] for look in looks) > looks[0]["measure"] + 0.05
    assert looks[-1]["loss"] < looks[1]["loss"]
    assert (trained / "round-1" / CURVE).read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def bundle(trained: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The student as a bundle, calibrated."""
    folder = tmp_path_factory.mktemp("bundle")
    done = command("export", "--base", trained / "model", "--out", folder / "letters")
    assert done.exit_code == 0, done.output
    done = command("calibrate", folder / "letters", "--pairs", data, "--cache", folder / "cache")
    assert done.exit_code == 0, done.output
    return Bundle.open(folder / "letters")


@pytest.mark.live
def test_it_serves_searches(
    bundle: Bundle, client: OpenSearch, opensearch_url: str, index_name: str, tmp_path: Path
) -> None:
    index = make_toy_index(client, opensearch_url, bundle, index_name)
    with running_proxy(opensearch_url, tmp_path, bundle=bundle.path) as proxy:
        answer = search(proxy.url, index.name, {"query": index.query, "size": WINDOW})
    assert answer.rerank_status.startswith(f"applied; window={WINDOW}; scored={WINDOW}; model=small-letters")
    assert ids(answer) == index.expected_order()


def test_it_becomes_a_bundle_that_replays_and_is_calibrated(trained: Path, bundle: Bundle) -> None:
    done = command("compare", bundle.path, "--base", trained / "model")
    assert done.exit_code == 0, done.output
    assert replay(bundle).within
    assert (bundle.manifest.input, bundle.manifest.pooling) == ("tri_letters", "weighted")
    assert bundle.manifest.trained_on == ("stdlib (PSF-2.0)", "calibrated on stdlib")


def test_a_second_run_of_a_finished_training_changes_nothing(trained: Path) -> None:
    before = (trained / "model" / "twin.safetensors").read_bytes()
    done = command("train", trained.parent / "student.toml", "--out", trained)
    assert done.exit_code == 0, done.output
    assert (trained / "model" / "twin.safetensors").read_bytes() == before
    (trained.parent / "other.toml").write_text((trained.parent / "student.toml").read_text() + "seed = 2\n")
    done = command("train", trained.parent / "other.toml", "--out", trained)
    assert "expected the checkpoint of this configuration" in done.output


def test_a_teacher_is_fine_tuned_and_scores_are_kept(data: Path, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base")
    (tmp_path / "teacher.toml").write_text(
        f'base = "{base}"\nmax_tokens = 40\nnegatives = 2\n[data]\ndev_share = 0.2\nmax_dev = 8\n'
        f'[[data.train]]\nkind = "beir"\npath = "{data}"\nlicence = "PSF-2.0"\nmax_queries = 50\n'
        "[run]\nepochs = 1\nbatch_size = 8\n"
    )
    done = command("teacher", tmp_path / "teacher.toml", "--out", tmp_path / "teacher")
    assert done.exit_code == 0, done.output
    teacher = CrossEncoder(tmp_path / "teacher" / "model", max_tokens=40)
    pairs = [("read a file", "Read a file."), ("read a file", "Sort a list."), ("", "")]
    scores = score_once(teacher, pairs, tmp_path / "scores.sqlite")
    assert scores == pytest.approx(teacher.score_pairs(pairs), abs=1e-5)
    assert Ensemble([teacher, teacher]).score_pairs(pairs) == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize(
    ("optimiser", "more"), [("adamw", ""), ("muon", ""), ("adamw", f'bundle = "{TINY_BUNDLE}"')]
)
def test_a_query_tower_is_aligned_to_its_base_or_a_bundle(
    data: Path, tmp_path: Path, optimiser: str, more: str
) -> None:
    base = make_tiny(tmp_path / "base", layers=2)
    shutil.copy(data / "queries.jsonl.gz", tmp_path)
    (tmp_path / "align.toml").write_text(
        f'[model]\nname = "light"\nlicence = "MIT"\nbase = "{base}"\nlayers = "first:1"\nshared = false\n'
        f'[[data.train]]\nkind = "beir"\npath = "{data}"\nlicence = "PSF-2.0"\n[data]\ndev_share = 0.2\n'
        f'[distil]\nobjective = "align"\n{more}\n[run]\nepochs = 10\nlearning_rate = 0.003\n'
        "evaluate_every = 20\n"
        f'optimiser = "{optimiser}"\n'
    )
    done = command("train", tmp_path / "align.toml", "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    looks = log_of(tmp_path / "run")
    assert looks[-1]["measure"] > looks[0]["measure"] + 0.05
    segments = load_base(str(tmp_path / "run" / "model")).query.bert.embeddings.token_type_embeddings.weight
    assert not segments.any(), "the graph has no segments: what is learned there is lost"
