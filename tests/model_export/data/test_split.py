"""Splits of the examples, and near duplicates of evaluation queries."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.short_texts import short_texts

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.examples import Examples
from model_export.data.split import NEAR, NearDuplicates, normalise_words, remove_near_duplicates, split
from model_export.errors import TrainingError

pytestmark = pytest.mark.export


@settings(deadline=None)
@given(queries=st.lists(short_texts, min_size=2, max_size=40), seed=st.integers(0, 9))
def test_no_query_is_on_both_sides(queries: list[str], seed: int) -> None:
    whole = Examples({str(i): text for i, text in enumerate(queries)}, {}, {})
    try:
        learned, kept = split(whole, 0.3, limit=99, seed=seed)
    except TrainingError:
        return
    sides = [{normalise_words(text) for text in side.queries.values()} for side in (learned, kept)]
    assert not sides[0] & sides[1]
    assert len(learned.queries) + len(kept.queries) == len(queries)


@settings(deadline=None)
@given(texts=st.lists(short_texts, max_size=30), query=short_texts)
def test_near_duplicates_are_those_that_a_full_search_finds(texts: list[str], query: str) -> None:
    mine = normalise_words(query)
    near = any(
        len(mine & normalise_words(each)) >= NEAR * len(mine | normalise_words(each)) for each in texts
    )
    assert NearDuplicates(texts).has(query) == near


def test_evaluation_queries_are_removed_from_training() -> None:
    whole = Examples({"a": "How do I wait a bit?", "b": "read a file"}, {}, {})
    assert list(remove_near_duplicates(whole, ["how do i wait a bit"]).queries) == ["b"]
