"""Each hit's parts against the average of the page, and the sentence that is made of them."""

import math
from typing import Any

import pytest

from plugin.lab.why import LABELS, describe_scores, score_hits

USED = {"fusion": "log_linear", "weight": 2.0, "feedback": 0.0, "smoothing": 0.0}


def hit(rank: int, before: int, first: float, crossing: float | None) -> dict[str, Any]:
    """Return a hit with the scores that `ext.rerank.explain` gives."""
    used = 0.5 if crossing is None else crossing
    fused = first * math.exp(2.0 * (1 + used))
    scores = {
        "rank": rank, "first_stage_rank": before, "first_stage_score": first, "crossing": crossing,
        "fused": fused, "probability": 0.5,
    }  # fmt: skip
    return {"_id": str(rank), "_rerank": scores}


def test_parts_add_up_and_are_compared_with_the_mean_of_the_page() -> None:
    page = [hit(1, 3, math.e, 0.9), hit(2, 1, math.e**3, 0.1)]
    first, second = describe_scores(score_hits(page, USED))
    assert first is not None
    assert second is not None
    assert first["total"] == pytest.approx(sum(part["adds"] for part in first["parts"]), abs=1e-3)
    assert [part["name"] for part in first["parts"]] == ["first_stage", "crossing"]
    assert [part["against_mean"] for part in first["parts"]] == pytest.approx([-1, 0.8])
    assert [part["against_mean"] for part in second["parts"]] == pytest.approx([1, -0.8])
    assert first["why"] == "Up 2, from 3 to 1. Meaning adds 0.8 more than to the average hit here."
    assert second["why"] == "Down 1, from 1 to 2. Meaning adds 0.8 less than to the average hit here."


def test_a_hit_that_stays_is_explained_by_what_it_has_most_of() -> None:
    page = [hit(1, 1, math.e**2, 0.5), hit(2, 2, 1.0, 0.5)]
    first, second = describe_scores(score_hits(page, USED))
    assert first is not None
    assert second is not None
    assert first["why"].startswith("Stays at 1. OpenSearch's score adds 1.0 more")
    assert second["why"] == "Stays at 2."


def test_a_hit_without_a_vector_says_so() -> None:
    [only] = describe_scores(score_hits([hit(4, 2, 3.0, None)], USED))
    assert only is not None
    assert only["why"] == (
        "Down 2, from 2 to 4. It has no vector, so it takes the window's median for its meaning."
    )


def test_a_hit_beyond_the_window_has_no_scores() -> None:
    assert describe_scores(score_hits([{"_id": "1"}], USED)) == [None]
    assert describe_scores(score_hits([hit(1, 1, 1.0, 0.5)], None)) == [None]


def test_a_first_stage_score_of_0_has_no_logarithm() -> None:
    first, second = describe_scores(score_hits([hit(1, 2, 1.0, 0.5), hit(2, 1, 0.0, 0.5)], USED))
    assert first is not None
    assert second is not None
    assert second["parts"][0] == {
        "name": "first_stage", "label": LABELS["first_stage"], "adds": None, "against_mean": None,
    }  # fmt: skip
    assert second["why"] == "Down 1, from 1 to 2."


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"exact": True}, "It comes first as an exact match."),
        ({"demoted": True}, "It comes last, since its probability is below the least."),
        ({"rank_before_diversity": 4}, "Diversity moved it from 4."),
    ],
)
def test_what_placed_a_hit_beside_its_score_is_said(more: dict[str, Any], words: str) -> None:
    scored = hit(2, 2, 1.0, 0.5)
    scored["_rerank"] |= more
    [only] = describe_scores(score_hits([scored], USED))
    assert only is not None
    assert only["why"] == f"Stays at 2. {words}"


def test_signals_are_a_part() -> None:
    scored = hit(1, 1, 1.0, 0.5)
    factor = {"field": "stock", "kind": "saturation", "value": 3.0, "factor": 2.0}
    scored["_rerank"] |= {"signals": [factor], "fused": scored["_rerank"]["fused"] * 2}
    [only] = describe_scores(score_hits([scored], USED))
    assert only is not None
    part = next(part for part in only["parts"] if part["name"] == "signals")
    assert (part["label"], part["adds"]) == ("Signals", pytest.approx(math.log(2), abs=1e-3))


def test_another_fusion_method_has_no_parts() -> None:
    [only] = describe_scores(score_hits([hit(1, 5, 1.0, 0.5)], {"fusion": "rrf", "weight": None}))
    assert only is not None
    assert only["parts"] == []
    assert only["why"] == "Up 4, from 5 to 1."
