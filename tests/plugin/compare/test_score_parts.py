"""A score in parts: they add up to it, whatever a hit lacks."""

import math
from typing import Any

import pytest

from plugin.compare.score_parts import find_score_parts

USED: dict[str, Any] = {"fusion": "log_linear", "weight": 10.0, "feedback": 0.5, "smoothing": 0.2}
CROSSING, SIMILARITY, FIRST = 0.8, 0.6, 2.5
LOGARITHM = math.log(FIRST) + 10 * (1 + CROSSING + 0.5 * (1 + SIMILARITY))


def scored(**more: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    return {"first_stage_score": FIRST, "crossing": CROSSING, "fused": math.exp(LOGARITHM), **more}


def test_the_parts_add_up_to_a_number_of_a_persons_size() -> None:
    found = find_score_parts(scored(similarity=SIMILARITY, neighbours=1.5e9), USED)
    assert scored()["fused"] > 1e9
    assert list(found.shares) == ["first_stage", "crossing", "feedback", "smoothing"]
    assert found.shares["crossing"] == pytest.approx(8)
    assert found.shares["feedback"] == pytest.approx(3)
    assert found.shares["smoothing"] == pytest.approx(0, abs=1e-9)
    assert sum(found.shares.values()) == pytest.approx(found.total) == pytest.approx(math.log(FIRST) + 11)
    assert found.format_sum() == "11.9 = 0.9 + 8.0 + 3.0 + 0.0"


def test_signals_are_one_part() -> None:
    signals = [{"factor": math.exp(1.5)}, {"factor": 1.0}]
    told = scored(similarity=SIMILARITY, neighbours=1.5e9, signals=signals)
    found = find_score_parts(told | {"fused": told["fused"] * math.exp(1.5)}, USED)
    assert list(found.shares) == ["first_stage", "crossing", "feedback", "signals", "smoothing"]
    assert found.shares["signals"] == pytest.approx(1.5)
    assert found.shares["smoothing"] == pytest.approx(0, abs=1e-9)
    assert sum(found.shares.values()) == pytest.approx(found.total)


def test_a_negative_share_is_subtracted() -> None:
    found = find_score_parts(
        {"first_stage_score": 1.0, "crossing": -0.25, "fused": math.exp(7.5)}, USED | {"feedback": 0}
    )
    assert found.format_sum() == "-2.5 = 0.0 - 2.5"


def test_without_a_vector_the_rest_is_the_medians() -> None:
    found = find_score_parts(scored(crossing=None), USED | {"feedback": 0.0})
    assert list(found.shares) == ["first_stage", "crossing"]
    assert sum(found.shares.values()) == pytest.approx(found.total)


def test_a_score_of_0_comes_last_and_is_json() -> None:
    found = find_score_parts(scored(first_stage_score=0.0, fused=0.0, neighbours=0.0), USED)
    assert found.total == -math.inf
    assert found.as_json() == {"total": None, "first_stage": None, "crossing": 8.0, "smoothing": 0.0}


def test_a_score_beyond_all_numbers_is_the_sum_of_what_is_known() -> None:
    """Then the answer has `null` in its place."""
    found = find_score_parts(scored(fused=None), USED)
    assert found.total == pytest.approx(sum(found.shares.values()))
    assert math.isfinite(found.total)


@pytest.mark.parametrize("method", ["weighted", "rrf", "none"])
def test_another_method_is_no_sum(method: str) -> None:
    found = find_score_parts(scored(fused=0.0325), USED | {"fusion": method})
    assert (found.as_json(), found.format_sum()) == ({"total": 0.0325}, "0.0325")
