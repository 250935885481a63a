"""A query tower learns over stored vectors, from a label file to a model's folder."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import load_collection
from model_export.data.split import is_for_calibration
from model_export.errors import TrainingError
from model_export.model.base import load_base
from model_export.train.config import Config, read_config
from model_export.train.labelled import read_labelled
from model_export.train.lessons import UNTAUGHT, LessonBook, make_lessons
from model_export.train.loop import LOG
from reranker.bundle import Bundle
from reranker.crossing import Residual
from tests.bundles.make_tiny import make_tiny
from tests.support.indices.label_recipe import write_recipe
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export

STUDENT = """
[model]
name = "taught"
licence = "Apache-2.0"
base = "{folder}/base"
layers = "first:1"
shared = false

[data]
dev_share = 0.25
{data}
[teacher]
labels = "{folder}/labels.bin"
recipe = "{folder}/recipe.toml"
origin = "a teacher (its licence)"
{teacher}
[distil]
objective = "listwise_kl"
gold_weight = 0.0
temperature = 0.5
stored_vectors = "{folder}/cache"

[run]
epochs = 12
batch_size = 16
learning_rate = 0.003
evaluate_every = 10
{run}
"""


def command(*arguments: object) -> str:
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source called nq_dev, whose labels are another model's scores, and a base."""
    folder = tmp_path_factory.mktemp("lessons")
    write_small_collection(folder / "nq_dev", num_documents=150, num_queries=150)
    write_recipe(folder / "recipe.toml", folder / "nq_dev", TINY_BUNDLE)
    make_tiny(folder / "base")
    command(
        "label",
        folder / "recipe.toml",
        "--encoder",
        TINY_BUNDLE,
        "--out",
        folder / "labels.bin",
        "--cache",
        folder / "cache",
        "--queries",
        100,
    )
    return folder


def write_config(folder: Path, name: str, *, teacher: str = "", data: str = "", run: str = "") -> Path:
    file = folder / f"{name}.toml"
    file.write_text(STUDENT.format(folder=folder, teacher=teacher, data=data, run=run))
    return file


def read_weights(run: Path) -> bytes:
    return (run / "model" / "twin.safetensors").read_bytes()


@pytest.fixture(scope="module")
def trained(folder: Path) -> Path:
    command("train", write_config(folder, "student"), "--out", folder / "run")
    return folder / "run"


def test_the_tower_learns_what_the_teacher_knows(trained: Path) -> None:
    looks = [json.loads(line) for line in (trained / LOG).read_text().splitlines()]
    assert looks[-1]["loss"] < 0.9 * looks[1]["loss"]
    assert max(look["measure"] for look in looks) > looks[0]["measure"]
    base = load_base(str(trained / "model"))
    assert base.trained_on[-2:] == ("nq_dev (PSF-2.0)", "labels of a teacher (its licence)")
    start = load_base(str(trained.parent / "base"))
    assert base.document.has_weights_of(start.document), "stored vectors stay valid"


def test_the_same_seed_gives_the_same_weights_interrupted_or_not(folder: Path, trained: Path) -> None:
    late = write_config(folder, "late", run="max_minutes = 0.0001")
    for _ in range(2):
        command("train", late, "--out", folder / "again")
    steps = json.loads((folder / "again" / LOG).read_text().splitlines()[-1])["step"]
    whole = json.loads((trained / LOG).read_text().splitlines()[-1])["step"]
    assert steps < whole, "it was interrupted"
    command("train", write_config(folder, "student"), "--out", folder / "again")
    assert read_weights(folder / "again") == read_weights(trained)


def write_crossing_config(folder: Path) -> Path:
    text = write_config(folder, "crossing", run="max_minutes = 2").read_text()
    text = text.replace('layers = "first:1"', 'crossing = "residual"\ncrossing_hidden = 8')
    file = folder / "crossing.toml"
    file.write_text(text.replace("temperature = 0.5", "temperature = 0.5\nfrozen_queries = true"))
    return file


def test_a_residual_crossing_learns_over_the_vectors_of_both_towers(folder: Path, tmp_path: Path) -> None:
    command("train", write_crossing_config(folder), "--out", tmp_path / "run")
    looks = [json.loads(line) for line in (tmp_path / "run" / LOG).read_text().splitlines()]
    assert looks[-1]["loss"] < 0.9 * looks[1]["loss"]
    assert max(look["measure"] for look in looks) > looks[0]["measure"]
    base, start = load_base(str(tmp_path / "run" / "model")), load_base(str(folder / "base"))
    assert base.query.has_weights_of(start.query)
    assert base.document.has_weights_of(start.document)
    command("export", "--base", tmp_path / "run" / "model", "--out", tmp_path / "bundle")
    assert isinstance(Bundle.open(tmp_path / "bundle").load_crossing(), Residual), (
        "export compares it with torch"
    )


@pytest.mark.parametrize(
    ("before", "after"), [("frozen_queries = true", ""), ('crossing = "residual"', 'crossing = "cosine"')]
)
def test_a_crossing_or_a_tower_learns_over_stored_vectors(folder: Path, before: str, after: str) -> None:
    file = folder / "neither.toml"
    file.write_text(write_crossing_config(folder).read_text().replace(before, after))
    with pytest.raises(
        TrainingError, match='expected crossing = "residual" and frozen_queries = true together'
    ):
        read_config(file)


def make_book(folder: Path, config: Config, out: Path) -> LessonBook:
    labelled = read_labelled(folder / "labels.bin", folder / "recipe.toml", teacher=None, say=print)
    out.mkdir(exist_ok=True)
    shutil.copy(folder / "base" / "tokenizer.json", out)
    return make_lessons(config, labelled, load_base(str(folder / "base")).query, out, print)


def test_no_tower_sees_queries_that_are_kept_for_calibration(folder: Path, tmp_path: Path) -> None:
    source = f'[[data.train]]\nkind = "beir"\npath = "{folder}/nq_dev"\nlicence = "x"\n'
    spans = source + "spans = 2\nspan_words = [3, 6]\n"
    config = read_config(write_config(folder, "further", data=source + spans))
    book = make_book(folder, config, tmp_path / "out")
    texts = [*book.learned.texts, *book.held_back.texts]
    queries = load_collection(folder / "nq_dev").queries.values()
    kept = {text for text in queries if is_for_calibration("nq_dev", text)}
    assert len(kept) > 10
    assert not kept & set(texts)
    assert len(set(texts)) == len(texts)
    assert len(texts) > 200, "spans are learned too"
    assert not {*book.learned.texts} & {*book.held_back.texts}


def test_only_labelled_queries_are_taught_and_all_have_the_bundles_vectors(
    folder: Path, tmp_path: Path
) -> None:
    book = make_book(folder, read_config(write_config(folder, "plain")), tmp_path / "out")
    encode, whole = Bundle.open(TINY_BUNDLE).load_query_encoder(), 0
    for lessons in (book.learned, book.held_back):
        whole += len(lessons.taught.scores)
        assert sorted(lessons.places[lessons.places != UNTAUGHT]) == list(range(len(lessons.taught.scores)))
        assert np.array_equal(lessons.targets[0], encode(lessons.texts[0]))
    assert whole == 100, "the others are aligned alone"
    assert len(book.learned.texts) + len(book.held_back.texts) > 100
    place = int(np.flatnonzero(book.learned.places != UNTAUGHT)[0])
    row = book.learned.places[place]
    cosines = book.passages[book.learned.taught.candidates[row]] @ book.learned.targets[place]
    scores = book.learned.taught.scores[row]
    assert np.corrcoef(cosines, scores)[0, 1] > 0.999, "the teacher is the bundle: its scores fit its vectors"


def test_a_source_may_be_held_back_whole(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "nq_dev", tmp_path / "other")
    lines = [f'{{"_id": "o{i}", "text": "wait {i} seconds in {i * i}"}}' for i in range(40)]
    queries = tmp_path / "other" / "queries.jsonl.gz"
    queries.write_bytes(gzip.compress("\n".join(lines).encode()))
    first = next(iter(load_collection(folder / "nq_dev").documents))
    rows = "".join(f"o{i}\t{first}\t1\n" for i in range(40))
    (tmp_path / "other" / "qrels.tsv.gz").write_bytes(
        gzip.compress(f"query-id\tcorpus-id\tscore\n{rows}".encode())
    )
    write_recipe(tmp_path / "recipe.toml", folder / "nq_dev", TINY_BUNDLE)
    source = f'[[sources]]\nkind = "beir"\npath = "{tmp_path}/other"\nlicence = "x"\n'
    (tmp_path / "recipe.toml").write_text((tmp_path / "recipe.toml").read_text() + source)
    options = ["--encoder", TINY_BUNDLE, "--out", tmp_path / "labels.bin", "--cache", folder / "cache"]
    command("label", tmp_path / "recipe.toml", *options)
    text = write_config(folder, "two", teacher='held_back = ["other"]').read_text()
    for name in ("recipe.toml", "labels.bin"):
        text = text.replace(f"{folder}/{name}", f"{tmp_path}/{name}")
    (tmp_path / "two.toml").write_text(text)
    labelled = read_labelled(tmp_path / "labels.bin", tmp_path / "recipe.toml", teacher=None, say=print)
    shutil.copy(folder / "base" / "tokenizer.json", tmp_path)
    tower = load_base(str(folder / "base")).query
    book = make_lessons(read_config(tmp_path / "two.toml"), labelled, tower, tmp_path, print)
    assert len(book.held_back.texts) == 40
    assert all(text.startswith("wait ") and " seconds in " in text for text in book.held_back.texts)
    assert not any(" seconds in " in text for text in book.learned.texts)


@pytest.mark.parametrize(
    ("teaches", "message"),
    [('["other"]', "expected sources of the recipe in teacher.teaches"), ("[]", "expected labels of the")],
)
def test_sources_without_labels_teach_nothing(
    folder: Path, tmp_path: Path, teaches: str, message: str
) -> None:
    config = read_config(write_config(folder, "wrong", teacher=f"teaches = {teaches}"))
    with pytest.raises(TrainingError, match=message):
        make_book(folder, config, tmp_path / "out")
