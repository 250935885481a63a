"""What the proxy made of searches, and the headers that it becomes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.http.messages import Response
from plugin.telemetry.outcome import (
    APPLIED,
    BAD_CONTROLS,
    MAX_REASONS,
    OTHER,
    MultiSearchOutcome,
    SearchOutcome,
    outcome_of,
)
from plugin.telemetry.rerank_status import MAX_CHARS


def items(*words: str) -> MultiSearchOutcome:
    """Return the outcome of items of these words."""
    return MultiSearchOutcome(tuple(item(word) for word in words), ("books",) * len(words), {})


def item(word: str) -> SearchOutcome:
    if word == APPLIED:
        return SearchOutcome("applied")
    return SearchOutcome.refused() if word == BAD_CONTROLS else SearchOutcome.skipped(word)


def read_items(status: str) -> list[str]:
    """Read the words of items back from their line."""
    words: list[str] = []
    for run in re.findall(r"([0-9-]+):([^,]+)", status.partition("items=")[2]):
        first, _, last = run[0].partition("-")
        assert int(first) == len(words)
        words += [run[1]] * (int(last or first) - int(first) + 1)
    return words


@pytest.mark.parametrize(("outcome", "status"), [
    (SearchOutcome.skipped("sort"), "skipped; reason=sort"),
    (SearchOutcome.refused(), "refused; reason=ext"),
    (
        SearchOutcome("applied", window=100, scored=97, model="m", bundle="m@1"),
        "applied; window=100; scored=97; model=m; bundle=m@1; execution=sidecar",
    ),
    (
        SearchOutcome("applied", window=9, scored=7, stale=2, model="m", bundle="m@1", fallback="collapse"),
        "applied; window=9; scored=7; stale=2; model=m; bundle=m@1; execution=sidecar; fallback=collapse",
    ),
    (
        SearchOutcome("applied", shard_window=1000, model="m", bundle="m@1"),
        "applied; window=1000/shard; model=m; bundle=m@1; execution=cluster",
    ),
])  # fmt: skip
def test_a_search_is_one_line(outcome: SearchOutcome, status: str) -> None:
    assert outcome.headers() == (("Rerank-Status", status),)


def test_the_times_of_stages_are_a_header() -> None:
    outcome = SearchOutcome.skipped("sort", {"plan": 0.11, "total": 4.3})
    timing = ("Server-Timing", "plan;dur=0.11, total;dur=4.30")
    assert outcome.headers() == (("Rerank-Status", "skipped; reason=sort"), timing)


def test_a_response_without_an_outcome_answers_no_search() -> None:
    outcome = items("sort")
    assert outcome_of(Response(200, (), b"")) is None
    assert outcome_of(Response(200, (), b"", outcome=outcome)) is outcome


def test_neighbours_are_told_together() -> None:
    found = items(APPLIED, APPLIED, "sort", APPLIED, BAD_CONTROLS)
    assert found.status == "applied=3; skipped=1; refused=1; items=0-1:applied,2:sort,3:applied,4:ext"
    assert items().status == "applied=0; skipped=0"


def test_many_different_items_end_in_dots() -> None:
    line = items(*[APPLIED, "sort"] * 2500).status
    assert line.startswith("applied=2500; skipped=2500; items=0:applied,1:sort,")
    assert line.endswith(",...")
    assert len(line) < MAX_CHARS + 100


def test_reasons_that_a_client_makes_up_are_counted_apart_up_to_a_limit() -> None:
    counts = items(*(f"key{number}" for number in range(2 * MAX_REASONS))).counts()
    assert len(counts) == MAX_REASONS + 1
    assert counts["skipped", OTHER] == MAX_REASONS
    assert sum(counts.values()) == 2 * MAX_REASONS


@given(st.text())
def test_a_key_that_a_client_made_up_is_no_more_than_a_word(key: str) -> None:
    outcome = SearchOutcome.skipped(key)
    assert outcome.status.isascii()
    assert outcome.status.isprintable()
    assert len(outcome.status) <= len("skipped; reason=") + 64
    assert outcome.counts() == {("skipped", outcome.reason): 1}


@given(st.lists(st.sampled_from([APPLIED, "sort", "query_text", BAD_CONTROLS]), min_size=1, max_size=300))
def test_a_line_reads_back_as_what_it_tells(words: list[str]) -> None:
    outcome = items(*words)
    told = read_items(outcome.status)
    assert told == words[: len(told)]
    assert len(told) == len(words) or outcome.status.endswith(",...")
    assert sum(outcome.counts().values()) == len(words)
