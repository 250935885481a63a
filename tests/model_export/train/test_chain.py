"""From labels to figures: a teacher labels, a tiny student learns, and is better on other queries."""

import gzip
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import load_collection
from model_export.data.examples import read_examples
from model_export.data.quality import measure_ndcg
from model_export.evaluation.cosines import encode_hits, score_hits
from model_export.model.twin import TwinBert
from model_export.train.config import read_config
from model_export.train.model_folder import replace_folder, write_model
from model_export.train.student import make_student
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.support.indices.label_recipe import write_recipe
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export

STUDENT = """
[model]
name = "labelled-letters"
licence = "Apache-2.0"
input = "tri_letters"
vocabulary = 2000
pooling = "weighted"
hidden = 64
intermediate = 128
num_layers = 1

[data]
dev_share = 0.2

[teacher]
labels = "{labels}"
recipe = "{recipe}"
{teacher}

[distil]
objective = "listwise_kl"
gold_weight = 0.0

[run]
epochs = 8
batch_size = 16
learning_rate = 0.002
evaluate_every = 10
"""
"""A student that knows the teacher's labels alone: `gold_weight` is 0."""


def command(*arguments: object) -> Result:
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a collection to learn from, another with the same documents to measure on, and labels."""
    folder = tmp_path_factory.mktemp("chain")
    write_small_collection(folder / "stdlib", num_documents=150, num_queries=150)
    hold_back(folder / "stdlib", folder / "held_back")
    write_recipe(folder / "recipe.toml", folder / "stdlib")
    command(
        "label",
        folder / "recipe.toml",
        "--encoder",
        DEFAULT_BUNDLE,
        "--out",
        folder / "labels.bin",
        "--cache",
        folder / "cache",
    )
    write_config(folder, "student.toml")
    return folder


def hold_back(learned: Path, measured: Path, share: float = 0.25) -> None:
    """Move the last queries of a collection into another one with the same documents."""
    measured.mkdir()
    (measured / "corpus.jsonl.gz").write_bytes((learned / "corpus.jsonl.gz").read_bytes())
    (measured / "qrels.tsv.gz").write_bytes((learned / "qrels.tsv.gz").read_bytes())
    lines = gzip.decompress((learned / "queries.jsonl.gz").read_bytes()).splitlines()
    place = round(len(lines) * (1 - share))
    for target, part in ((learned, lines[:place]), (measured, lines[place:])):
        (target / "queries.jsonl.gz").write_bytes(gzip.compress(b"\n".join(part)))


def write_config(folder: Path, name: str, *, teacher: str = "") -> Path:
    text = STUDENT.format(labels=folder / "labels.bin", recipe=folder / "recipe.toml", teacher=teacher)
    (folder / name).write_text(text)
    return folder / name


def measure_alone(bundle: Bundle, folder: Path, cache: Path) -> float:
    """Return the nDCG@10 of a bundle's crossing alone on a collection."""
    judged = load_collection(folder)
    encode, vectors = bundle.load_query_encoder(), encode_hits(bundle, judged, cache, threads=1)
    return measure_ndcg(judged, score_hits(judged, encode, vectors, bundle.load_crossing()))


def export_start(folder: Path) -> Bundle:
    """Export the student as it is before it learns."""
    config = read_config(folder / "student.toml")
    examples = read_examples(config.data.train)
    texts = [*examples.queries.values(), *examples.documents.values()]
    start = make_student(config.model, texts, seed=config.run.seed)
    twin = TwinBert(start.query, start.document, start.crossing).train(mode=False)
    made = replace_folder(folder / "start", lambda place: write_model(place, twin, start))
    command("export", "--base", made, "--out", folder / "start-bundle")
    return Bundle.open(folder / "start-bundle")


def test_a_student_learns_from_labels_what_its_teacher_knows(folder: Path) -> None:
    done = command("train", folder / "student.toml", "--out", folder / "run")
    assert "0 of 1,792 labels are of texts that are not found" in done.output
    command("export", "--base", folder / "run" / "model", "--out", folder / "bundle")
    student = Bundle.open(folder / "bundle")
    assert student.manifest.trained_on == ("stdlib (PSF-2.0)",)
    held_back = folder / "held_back"
    before, after, taught = (
        measure_alone(bundle, held_back, folder / f"vectors-{bundle.name}")
        for bundle in (export_start(folder), student, Bundle.open(DEFAULT_BUNDLE))
    )
    assert before < taught
    assert before + 0.05 < after, f"from {before} to {after}, where the teacher has {taught}"
    done = command("evaluate", "--bundle", folder / "bundle", "--judged", held_back, "--cache", folder / "v")
    assert "labelled-letters" in done.output


def test_labels_of_another_teacher_teach_nothing(folder: Path) -> None:
    other = write_config(folder, "other.toml", teacher=f'encoders = ["{TINY_BUNDLE}"]')
    done = CliRunner().invoke(main, ["train", str(other), "--out", str(folder / "other")])
    assert done.exit_code == 1
    assert "expected labels of the teacher" in done.output
