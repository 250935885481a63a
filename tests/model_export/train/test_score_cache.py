"""A teacher's scores are kept, whatever interrupts the scoring."""

from pathlib import Path

import numpy as np
import pytest

from reranker.arrays import Floats

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import TrainingError
from model_export.train.score_cache import score_once
from model_export.train.teacher import Pair
from tests.chaos.small_disk import small_disk

pytestmark = pytest.mark.export


class Counting:
    """A teacher that says how often it was asked."""

    digest = "counting"

    def __init__(self) -> None:
        self.asked: list[Pair] = []

    def score_pairs(self, pairs: list[Pair]) -> Floats:
        if any(document == "broken" for _, document in pairs):
            raise KeyboardInterrupt
        self.asked += pairs
        return np.array([len(document) for _, document in pairs], np.float32)


def test_interrupted_scoring_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_export.train.score_cache.PART", 2)
    teacher, pairs = Counting(), [("q", "a"), ("q", "ab"), ("q", "broken")]
    with pytest.raises(KeyboardInterrupt):
        score_once(teacher, pairs, tmp_path / "s")  # type: ignore[arg-type]  # its lists are our sequences
    again = score_once(teacher, pairs[:2], tmp_path / "s")  # type: ignore[arg-type]
    assert again.tolist() == [1.0, 2.0]
    assert teacher.asked == pairs[:2], "scored once"
    (tmp_path / "t").write_bytes(b"no database" * 100)
    with pytest.raises(TrainingError, match="expected a cache of scores"):
        score_once(teacher, pairs, tmp_path / "t")  # type: ignore[arg-type]


def test_a_score_that_is_not_finite_names_its_pair(tmp_path: Path) -> None:
    class Broken(Counting):
        def score_pairs(self, pairs: list[Pair]) -> Floats:
            return np.array([np.nan if document == "bad" else 1.0 for _, document in pairs], np.float32)

    pairs = [("q", "good"), ("why", "bad")]
    with pytest.raises(TrainingError, match=r"found nan for the query 'why' and the document 'bad'"):
        score_once(Broken(), pairs, tmp_path / "s")  # type: ignore[arg-type]
    assert score_once(Broken(), pairs[:1], tmp_path / "s").tolist() == [1.0]  # type: ignore[arg-type]


def test_a_full_disk_is_said_and_scoring_goes_on_when_there_is_space(tmp_path: Path) -> None:
    pairs = [("q", f"{number} " * 9) for number in range(3000)]
    with small_disk(tmp_path / "disk") as disk:
        if not disk.is_own:
            pytest.skip("needs the right to mount a small disk")
        file = disk.folder / "scores.sqlite"
        first = score_once(Counting(), pairs[:100], file)  # type: ignore[arg-type]
        disk.fill()
        with pytest.raises(TrainingError, match="found: database or disk is full"):
            score_once(Counting(), pairs, file)  # type: ignore[arg-type]
        disk.empty()
        teacher = Counting()
        found = score_once(teacher, pairs, file)  # type: ignore[arg-type]
        assert found[:100].tolist() == first.tolist()
        assert set(teacher.asked).isdisjoint(pairs[:100])
        assert len(found) == len(pairs)
