"""Labelling: it goes on after what stops it, keeps to its time, and refuses what does not belong together."""

import errno
import gzip
import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from reranker.arrays import Floats
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import TINY_BUNDLE

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.errors import TrainingError
from model_export.labelling.label_file import hash_candidate, hash_query, read_labels
from model_export.labelling.pool import make_pool
from model_export.labelling.recipe import CANDIDATES, Recipe
from model_export.train import label as labelling
from model_export.train.label import LabelLimits, label
from model_export.train.labelled import read_labelled
from model_export.train.teacher import Pair
from tests.support.indices.label_recipe import write_recipe

pytestmark = pytest.mark.export

QUERIES = 80
NO_LIMITS = LabelLimits()


class LengthTeacher:
    """A teacher that likes long passages, and may be stopped after some pairs."""

    digest = "likes length"

    def __init__(self, stop_after: int = 10**9, seconds: float = 0.0) -> None:
        self.asked: list[Pair] = []
        self._stop_after = stop_after
        self._seconds = seconds

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        if len(self.asked) >= self._stop_after:
            raise KeyboardInterrupt
        self.asked += pairs
        return np.array([len(text) / 64 for _, text in pairs], np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "stdlib"
    return write_small_collection(folder, num_documents=200, num_queries=QUERIES)


@pytest.fixture
def recipe(data: Path, tmp_path: Path) -> Recipe:
    return write_recipe(tmp_path / "recipe.toml", data, TINY_BUNDLE)


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A labelling into `labels.bin`, in small parts; it returns what it says."""
    monkeypatch.setattr(labelling, "SAMPLE", 8)
    monkeypatch.setattr(labelling, "PART", 16)

    def start(teacher: LengthTeacher, limits: LabelLimits = NO_LIMITS, *, of: Recipe = recipe) -> list[str]:
        said: list[str] = []
        label(of, teacher, tmp_path / "labels.bin", tmp_path / "cache", limits, said.append)
        return said

    return start


def test_every_label_is_the_teachers_score_of_its_text(
    run: Callable[..., list[str]], recipe: Recipe, tmp_path: Path
) -> None:
    said = run(LengthTeacher())
    assert said[0].startswith(f"{QUERIES} queries, 0 of them labelled")
    assert any(
        f"plan: {QUERIES - 8} queries of 16 candidates, {16 * (QUERIES - 8):,} pairs" in e for e in said
    )
    labels, (source,) = read_labels(tmp_path / "labels.bin"), make_pool(recipe).sources
    assert labels.scores.shape == (QUERIES, CANDIDATES)
    assert set(labels.queries.tolist()) == {hash_query(text) for text in source.queries.values()}
    lengths = {hash_candidate(text): len(text) / 64 for text in source.documents.values()}
    expected = np.array([[lengths[key] for key in row] for row in labels.candidates.tolist()])
    assert labels.scores == pytest.approx(expected, rel=1e-3), "no passage here is cut"
    assert all(len(set(row)) == CANDIDATES for row in labels.candidates.tolist())


def test_an_interrupted_run_goes_on_to_the_same_file(run: Callable[..., list[str]], tmp_path: Path) -> None:
    whole = LengthTeacher()
    run(whole)
    expected = (tmp_path / "labels.bin").read_bytes()
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "labels.bin").unlink()
    first = LengthTeacher(stop_after=600)
    with pytest.raises(KeyboardInterrupt):
        run(first)
    assert 8 < read_labels(tmp_path / "labels.bin").header.queries < QUERIES
    second = LengthTeacher()
    assert ", 40 of them labelled" in run(second)[0]
    assert (tmp_path / "labels.bin").read_bytes() == expected
    assert not {*first.asked} & {*second.asked}, "no pair is scored twice"
    third = LengthTeacher()
    (tmp_path / "labels.bin").unlink()
    run(third)
    assert ((tmp_path / "labels.bin").read_bytes(), third.asked) == (expected, []), "the cache has all"
    shutil.rmtree(tmp_path / "cache")
    run(third)
    assert third.asked == [], "and so has the file"


def test_some_queries_are_a_file_that_a_later_run_extends(
    run: Callable[..., list[str]], tmp_path: Path
) -> None:
    run(LengthTeacher(), LabelLimits(queries=20))
    some = read_labels(tmp_path / "labels.bin")
    assert some.header.queries == 20
    run(LengthTeacher())
    whole = read_labels(tmp_path / "labels.bin")
    rows = [whole.queries.tolist().index(key) for key in some.queries.tolist()]
    assert np.array_equal(whole.candidates[rows], some.candidates)
    assert np.array_equal(whole.scores[rows], some.scores)


def test_the_queries_of_one_source_may_be_labelled_first(
    data: Path, tmp_path: Path, run: Callable[..., list[str]]
) -> None:
    other = shutil.copytree(data, tmp_path / "other")
    queries = [f'{{"_id": "q{i}", "text": "another {i}"}}' for i in range(10)]
    (other / "queries.jsonl.gz").write_bytes(gzip.compress("\n".join(queries).encode()))
    recipe = write_recipe(tmp_path / "two.toml", data, TINY_BUNDLE)
    second = msgspec.structs.replace(recipe.sources[0], path=str(other))
    two = msgspec.structs.replace(recipe, sources=(*recipe.sources, second))
    run(LengthTeacher(), LabelLimits(sources=("other",)), of=two)
    expected = {hash_query(f"another {i}") for i in range(10)}
    assert set(read_labels(tmp_path / "labels.bin").queries.tolist()) == expected
    run(LengthTeacher(), of=two)
    assert read_labels(tmp_path / "labels.bin").header.queries == QUERIES + 10
    with pytest.raises(TrainingError, match=r"expected sources among \['other', 'stdlib'\], found \['x'\]"):
        run(LengthTeacher(), LabelLimits(sources=("x",)), of=two)


def test_a_plan_that_is_too_long_is_cut_to_its_time(
    run: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 64))
    monkeypatch.setattr("model_export.train.label.time.monotonic", lambda: next(clock))
    said = run(LengthTeacher(), LabelLimits(minutes=10))
    assert any("pairs at 2.0 a second (measured on 128): 10 minutes" in each for each in said)
    assert any("more than 10 minutes: 67 of these queries" in each for each in said)
    assert 8 < read_labels(tmp_path / "labels.bin").header.queries <= 75


def test_labels_of_another_teacher_or_recipe_are_not_extended(
    run: Callable[..., list[str]], recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    run(LengthTeacher(), LabelLimits(queries=8))
    before = (tmp_path / "labels.bin").read_bytes()
    other = LengthTeacher()
    other.digest = "another"
    with pytest.raises(TrainingError, match=r"labels of the teacher another in .* those of likes length"):
        run(other)
    (tmp_path / "other.toml").write_text("seed = 2\n" + (tmp_path / "recipe.toml").read_text())
    with pytest.raises(TrainingError, match="expected labels of the recipe"):
        run(LengthTeacher(), of=labelling_recipe(tmp_path / "other.toml"))
    assert (tmp_path / "labels.bin").read_bytes() == before


def labelling_recipe(file: Path) -> Recipe:
    from model_export.labelling.recipe import read_recipe

    return read_recipe(file)


def test_a_score_that_is_not_finite_writes_nothing(run: Callable[..., list[str]], tmp_path: Path) -> None:
    class Broken(LengthTeacher):
        def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
            return np.full(len(pairs), np.nan, np.float32)

    with pytest.raises(TrainingError, match="expected finite scores of the teacher"):
        run(Broken())
    assert not (tmp_path / "labels.bin").exists()


def test_a_full_disk_is_a_clear_error(
    run: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", fail)
        with pytest.raises(TrainingError, match=r"expected to keep vectors in .*No space left"):
            run(LengthTeacher())
        assert not list(tmp_path.rglob("*.partial"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(TrainingError, match=r"expected to write the labels .*No space left"):
            run(LengthTeacher())
    assert not list(tmp_path.glob("*.bin*"))
    run(LengthTeacher())


def test_the_command_labels_with_a_bundle_and_says_what_is_missing(
    recipe: Recipe, data: Path, tmp_path: Path
) -> None:
    options = ["--out", tmp_path / "a.bin", "--cache", tmp_path / "cache", "--queries", 5]
    command = partial(CliRunner().invoke, main)
    done = command(list(map(str, ["label", tmp_path / "recipe.toml", *options])))
    assert (done.exit_code, "expected a teacher" in done.output) == (1, True)
    done = command(list(map(str, ["label", tmp_path / "recipe.toml", "--encoder", TINY_BUNDLE, *options])))
    assert done.exit_code == 0, done.output
    assert f"{tmp_path / 'a.bin'}: 5 queries of 16 candidates" in done.output


def test_labels_find_their_texts_again(run: Callable[..., list[str]], data: Path, tmp_path: Path) -> None:
    run(LengthTeacher())
    said: list[str] = []
    read = partial(read_labelled, tmp_path / "labels.bin", teacher=None, say=said.append)
    found = read(tmp_path / "recipe.toml")
    assert (len(found.groups), found.scores.shape) == (QUERIES, (QUERIES, CANDIDATES))
    for group, scores in zip(found.groups, found.scores, strict=True):
        lengths = [len(found.examples.documents[each]) / 64 for each in group.documents]
        assert scores == pytest.approx(lengths, rel=1e-3)
        assert group.labels[0] == 1.0, "the passage that the query comes from is the first"
    assert "0 of 1,280 labels are of texts that are not found" in said[0]
    with pytest.raises(TrainingError, match="expected labels of the teacher another"):
        read(tmp_path / "recipe.toml", teacher="another")
    copy = shutil.copytree(data, tmp_path / "stdlib")
    write_recipe(tmp_path / "recipe.toml", copy, TINY_BUNDLE)
    assert read(tmp_path / "recipe.toml").identity == found.identity
    (copy / "qrels.tsv.gz").unlink()
    with pytest.raises(TrainingError, match="qrels"):
        read(tmp_path / "recipe.toml")


def test_texts_that_are_not_found_are_counted(
    run: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from model_export.labelling.label_file import write_labels

    run(LengthTeacher())
    labels, said = read_labels(tmp_path / "labels.bin"), list[str]()
    for lost, passes in ((3, True), (20, False)):
        candidates = labels.candidates.copy()
        candidates[:lost, 5] += 1
        write_labels(replace(labels, candidates=candidates), tmp_path / "other.bin")
        read = partial(read_labelled, teacher=None, say=said.append)
        if passes:
            found = read(tmp_path / "other.bin", tmp_path / "recipe.toml")
            assert len(found.groups) == QUERIES - lost
            assert "3 of 1,280 labels" in said[-1]
        else:
            with pytest.raises(TrainingError, match=r"texts for at least 99% .* found none for 20 of 1,280"):
                read(tmp_path / "other.bin", tmp_path / "recipe.toml")
