"""How long a sync is said to take: from the time of the sample, on a clock of its own."""

import pytest

from indexer.estimate import BUDGET_S, WRITE_S, estimate_s, in_words
from reranker.text import Chunking

CHUNKING = Chunking(256, 32, 4)


class Clock:
    """A clock that encoding moves on."""

    def __init__(self, encoding_s: float) -> None:
        self.now_s, self.texts, self._encoding_s = 0.0, list[str](), encoding_s

    def __call__(self) -> float:
        return self.now_s

    def encode(self, texts: list[str], _chunking: Chunking) -> list[object]:
        self.texts += texts
        self.now_s += self._encoding_s
        return []


def test_the_samples_mean_counts_for_every_document() -> None:
    clock = Clock(0.1)
    found = estimate_s(["a", "b", "", "c"], 1000, clock.encode, CHUNKING, clock)  # type: ignore[arg-type]
    assert found == pytest.approx(1000 * (0.3 / 4 + WRITE_S))
    assert clock.texts == ["a", "b", "c"]


def test_a_slow_machine_measures_no_longer_than_the_budget() -> None:
    clock = Clock(1.0)
    found = estimate_s(["a"] * 16, 10, clock.encode, CHUNKING, clock)  # type: ignore[arg-type]
    assert found == pytest.approx(10 * (1 + WRITE_S))
    assert clock.now_s <= BUDGET_S + 1


@pytest.mark.parametrize(("seconds", "words"), [
    (0.5, "less than 1 min"), (59, "less than 1 min"), (60, "about 1 min"), (299, "about 5 min"),
    (7_100, "about 118 min"), (10_800, "about 3 h"), (400_000, "about 5 days"),
])  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
