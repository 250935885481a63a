"""Clicks and impressions, counted: by hand, by a property, and with a client that is a machine."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugin.clicks.click_log import ClickLog, ClientCaps, LogCounts, Tally
from plugin.clicks.ubi_records import RecordedClick, ShownPage


def tally(
    pages: Iterable[ShownPage | None],
    clicks: Iterable[RecordedClick | None] = (),
    *,
    caps: ClientCaps = ClientCaps(),  # noqa: B008  # frozen
    at_least: int = 1,
    file: Path | None = None,
) -> tuple[list[Tally], LogCounts]:
    with ClickLog.open(file, caps) as log:
        log.add_clicks(clicks)
        log.add_pages(pages)
        return list(log.read_tallies(at_least)), log.counts


def page(
    number: int, *documents: str, text: str = "red", client: str | None = None, start: int = 0
) -> ShownPage:
    return ShownPage(f"s{number}", text, client, documents, start)


def test_a_click_counts_against_what_its_place_would_bring(tmp_path: Path) -> None:
    pages = [page(1, "a", "b"), page(2, "b", "a"), page(3, "a", "b"), page(4, "a", "b")]
    clicks = [RecordedClick("s1", "a"), RecordedClick("s2", "a"), RecordedClick("s3", "a")]
    # The first place: 2 of 4 clicked; the second: 1 of 4.
    expected = [
        Tally("red", "a", 3, 4, pytest.approx(3 * 0.5 + 1 * 0.25)),  # type: ignore[arg-type]
        Tally("red", "b", 0, 4, pytest.approx(1 * 0.5 + 3 * 0.25)),  # type: ignore[arg-type]
    ]
    assert tally(pages, clicks)[0] == expected
    assert tally(pages, clicks, file=tmp_path / "clicks.sqlite")[0] == expected


def test_a_later_page_begins_at_its_own_place() -> None:
    pages = [page(1, "a"), page(1, "b", start=10), page(2, "c", start=10)]
    found, counts = tally(pages, [RecordedClick("s1", "b")])
    assert [(each.document, each.clicks, each.expected) for each in found] == [
        ("a", 0, 0),
        ("b", 1, 0.5),
        ("c", 0, 0.5),
    ]
    assert counts.clicks_without_impression == 0


def test_texts_that_differ_in_case_alone_are_one_query() -> None:
    found, _ = tally([page(1, "a", text="Red"), page(2, "a", text="red")])
    assert [(each.text, each.impressions) for each in found] == [("Red", 2)]


def test_what_was_shown_too_rarely_is_left_out() -> None:
    found, _ = tally([page(1, "a", "b"), page(2, "a")], at_least=2)
    assert [each.document for each in found] == ["a"]


def test_a_click_counts_once_a_search() -> None:
    """A page that was loaded twice, and a user who clicked three times."""
    found, counts = tally([page(1, "a"), page(1, "a")], [RecordedClick("s1", "a")] * 3)
    assert [(each.clicks, each.impressions) for each in found] == [(1, 2)]
    assert (counts.clicks, counts.clicks_without_impression) == (3, 0)


def test_clicks_that_no_search_showed_are_counted() -> None:
    clicks = [RecordedClick("s1", "x"), RecordedClick("s1", "x"), RecordedClick("s9", "a"), None]
    found, counts = tally([page(1, "a"), None], clicks)
    assert [each.clicks for each in found] == [0]
    assert (counts.clicks, counts.unusable_clicks, counts.clicks_without_impression) == (4, 1, 3)
    assert (counts.pages, counts.unusable_pages) == (2, 1)


def people(number: int) -> tuple[list[ShownPage], list[RecordedClick]]:
    """Return searches of so many clients for one query, who all like `good`, which is shown last."""
    pages = [page(n, "bad", "good", client=f"person {n}") for n in range(number)]
    return pages, [RecordedClick(each.query_id, "good") for each in pages]


@pytest.mark.parametrize("texts", [("red",), tuple(f"red {n}" for n in range(10_000))])
def test_a_client_with_ten_thousand_clicks_decides_nothing(texts: Sequence[str]) -> None:
    """It searches for one query again and again, or for ever another one, and always clicks the first hit."""
    pages, clicks = people(100)
    machine = [
        page(1_000 + n, "bad", "good", text=texts[n % len(texts)], client="machine") for n in range(10_000)
    ]
    clicks += [RecordedClick(each.query_id, "bad") for each in machine]
    caps = ClientCaps(5, 50)
    found, counts = tally([*machine, *pages], clicks, caps=caps)
    by_people = {each.document: each.clicks for each in found if each.text == "red"}
    assert by_people["good"] == 100
    assert by_people.get("bad", 0) <= 5
    counted = 5 if len(texts) == 1 else 50
    assert (counts.capped_pages, counts.capped_clients) == (10_000 - counted, 1)


def test_ten_thousand_clicks_on_one_page_are_one() -> None:
    pages, _ = people(1)
    found, _ = tally(pages, [RecordedClick("s0", "bad")] * 10_000)
    assert [(each.document, each.clicks) for each in found] == [("bad", 1), ("good", 0)]


def test_searches_without_a_client_are_not_capped() -> None:
    found, counts = tally([page(n, "a") for n in range(50)], caps=ClientCaps(5, 10))
    assert ([each.impressions for each in found], counts.capped_pages) == ([50], 0)


PAGES = st.lists(
    st.tuples(
        st.sampled_from(["red", "blue", "green"]),
        st.lists(st.sampled_from("abcde"), min_size=1, unique=True),
        st.integers(0, 20),
        st.sets(st.sampled_from("abcde")),
    ),
    min_size=1,
)


@given(PAGES)
def test_as_many_clicks_are_expected_as_there_were(drawn: list[tuple[str, list[str], int, set[str]]]) -> None:
    pages = [page(n, *shown, text=text, start=start) for n, (text, shown, start, _) in enumerate(drawn)]
    clicks = [
        RecordedClick(f"s{n}", document) for n, (*_, clicked) in enumerate(drawn) for document in clicked
    ]
    found, counts = tally(pages, clicks)
    on_pages = sum(len(clicked & set(shown)) for _, shown, _, clicked in drawn)
    assert sum(each.clicks for each in found) == on_pages
    assert math.isclose(sum(each.expected for each in found), on_pages, abs_tol=1e-9)
    assert counts.clicks_without_impression == len(clicks) - on_pages
    assert sum(each.impressions for each in found) == sum(len(shown) for _, shown, _, _ in drawn)
