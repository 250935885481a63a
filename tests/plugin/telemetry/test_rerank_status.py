"""The `Rerank-Status` line."""

from hypothesis import given
from hypothesis import strategies as st

from plugin.telemetry.rerank_status import APPLIED, MAX_CHARS, REFUSED, UNTOLD, of_items, read_items, skipped


def test_neighbours_are_told_together() -> None:
    words = [APPLIED, APPLIED, "sort", APPLIED, REFUSED]
    assert of_items(words) == "applied=3; skipped=1; refused=1; items=0-1:applied,2:sort,3:applied,4:ext"
    assert of_items([]) == "applied=0; skipped=0"


def test_many_different_items_end_in_dots() -> None:
    line = of_items([APPLIED, "sort"] * 2500)
    assert line.startswith("applied=2500; skipped=2500; items=0:applied,1:sort,")
    assert line.endswith(",...")
    assert len(line) < MAX_CHARS + 100


@given(st.text())
def test_a_key_that_a_client_made_up_is_no_more_than_a_word(key: str) -> None:
    line = skipped(key)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= len("skipped; reason=") + 64


@given(st.lists(st.sampled_from([APPLIED, "sort", "query_text", REFUSED]), min_size=1, max_size=300))
def test_a_line_reads_back_as_what_it_tells(words: list[str]) -> None:
    told = read_items(of_items(words))
    assert sum(told.values()) == len(words)
    if UNTOLD not in told:
        assert told == {word: words.count(word) for word in dict.fromkeys(words)}


def test_the_line_of_a_single_search_tells_of_no_items() -> None:
    assert read_items("skipped; reason=sort") == read_items("applied; window=100; scored=97; model=m") == {}
