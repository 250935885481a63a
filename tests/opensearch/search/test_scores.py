"""What a reranked hit shows of its scores."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from opensearch.rawjson.style import Compact
from opensearch.search.scores import (
    HitScores,
    add_details,
    add_explanation,
    copy_score,
    format_score,
    set_score,
)

SCORES = HitScores(
    first_stage=2.5,
    first_stage_rank=3,
    crossing=None,
    neutral=0.25,
    fused=7.5,
    probability=0.5,
    fused_by="sum",
)


@given(st.floats(0, 3e38))
def test_a_score_is_the_shortest_text_of_a_float32(value: float) -> None:
    assert np.float32(json.loads(bytes(format_score(value)))) == np.float32(value)


@pytest.mark.parametrize("value", [math.inf, 1e300])
def test_a_score_is_never_more_than_a_float32_holds(value: float) -> None:
    assert math.isfinite(json.loads(bytes(format_score(value))))


def test_sort_values_follow_the_score() -> None:
    hit = {"_id": Raw(b'"1"'), "_score": Raw(b"1.0"), "sort": Raw(b"[1.0]")}
    assert set_score(hit, Raw(b"9.5")) == hit | {"_score": Raw(b"9.5"), "sort": Raw(b"[9.5]")}
    other = {"_score": Raw(b"4.50"), "sort": Raw(b"[4.50]")}
    assert copy_score(hit, other) == hit | other
    assert "sort" not in set_score({"_score": Raw(b"1.0")}, Raw(b"2.0"))


def test_a_hit_without_a_vector_says_so() -> None:
    hit = {"_explanation": Raw(b'{"value":2.50,"description":"d","details":[]}')}
    explained = json.loads(bytes(add_explanation(hit, SCORES, Compact(), 4)["_explanation"]), parse_float=str)
    assert (explained["value"], explained["description"]) == ("7.5", "sum, of:")
    assert explained["details"][0] == {
        "value": "0.25", "description": "neutral crossing: no vector", "details": [],
    }  # fmt: skip
    assert explained["details"][1] == {"value": "2.50", "description": "d", "details": []}
    details = json.loads(bytes(add_details({}, SCORES, 1, Compact(), 4)["_rerank"]))
    assert (details["crossing"], details["rank"], details["first_stage_rank"]) == (None, 1, 3)


def test_without_an_explanation_there_is_nothing_to_nest() -> None:
    hit = {"_id": Raw(b'"1"')}
    assert add_explanation(hit, SCORES, Compact(), 4) == hit
