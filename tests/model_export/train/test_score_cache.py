"""A teacher's scores are kept, whatever interrupts the scoring."""

from pathlib import Path

import numpy as np
import pytest

from reranker.arrays import Floats

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import TrainingError
from model_export.train.score_cache import score_once
from model_export.train.teacher import Pair

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
