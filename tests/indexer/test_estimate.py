"""How long a sync is said to take: from the time of the sample, on a clock of its own."""

from collections.abc import Sequence

import numpy as np
import pytest

from indexer.estimate import (
    BUDGET_S,
    WRITE_S,
    CostEstimate,
    Interval,
    MeasuredText,
    bootstrap_mean,
    estimate_s,
    in_words,
    measure_texts,
)
from reranker.arrays import Floats
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


def make_sample(*seconds: float) -> list[MeasuredText]:
    return [MeasuredText(100 * n, each, 408) for n, each in enumerate(seconds, 1)]


def test_the_mean_has_an_interval() -> None:
    found = bootstrap_mean([1.0, 2.0, 3.0, 4.0])
    assert found.value == 2.5
    assert 1.0 <= found.low < 2.0
    assert 3.0 < found.high <= 4.0
    assert bootstrap_mean([1.0, 2.0, 3.0, 4.0]) == found
    assert bootstrap_mean([7.0]) == Interval(7.0, 7.0, 7.0)


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    chosen = np.random.default_rng(1)
    drawn = [bootstrap_mean(list(chosen.gamma(2.0, 0.01, 100))) for _ in range(200)]
    assert 0.88 <= np.mean([one.low <= 0.02 <= one.high for one in drawn]) <= 0.99


def test_the_cost_of_all_documents() -> None:
    found = CostEstimate(36_000, make_sample(0.008, 0.008), cores=4, price_per_core_hour=0.05)
    assert found.core_hours.value == pytest.approx(36_000 * (0.008 + WRITE_S) / 3600)
    assert found.hours.value == pytest.approx(found.core_hours.value / 4)
    assert found.dollars is not None
    assert found.dollars.value == pytest.approx(0.05 * found.core_hours.value)
    assert found.vector_gb.value == pytest.approx(36_000 * 408 / 1e9)
    assert found.as_json()["core_hours"] == {"value": 0.1, "low": 0.1, "high": 0.1}
    assert CostEstimate(1, make_sample(1.0), 1).dollars is None


def test_times_by_length() -> None:
    sample = [MeasuredText(199, 1.0, 0), MeasuredText(0, 3.0, 0), MeasuredText(4000, 5.0, 0)]
    assert CostEstimate(1, sample, 1).by_length() == [
        ("0 to 199 characters", 2, 2.0), ("4,000 or more characters", 1, 5.0)
    ]  # fmt: skip


def test_each_text_is_measured_alone_and_as_long_as_the_budget_lasts() -> None:
    clock, seen = Clock(0.4), list[int]()

    def encode(texts: Sequence[str], chunking: Chunking) -> list[Floats]:
        clock.encode(list(texts), chunking)
        return [np.zeros((2, 384), np.float32)]

    found = measure_texts(["a", "", "bc", "d", "e"], encode, CHUNKING, 1.0, clock, seen.append)
    assert clock.texts == ["a", "a", "bc", "d"], "the first one twice, and nothing after the budget"
    assert [one.characters for one in found] == [1, 0, 2, 1]
    assert [one.vector_bytes for one in found] == [796, 0, 796, 796]
    assert [one.seconds for one in found] == pytest.approx([0.4, 0.0, 0.4, 0.4])
    assert seen == [1, 2, 3, 4]
