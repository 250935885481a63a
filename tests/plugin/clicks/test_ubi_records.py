"""Records of User Behavior Insights, as its schema has them and as applications fill it."""

from typing import Any

import pytest

from plugin.clicks.ubi_records import RecordedClick, RecordFilter, ShownPage, parse_click, parse_page

SEARCH: dict[str, Any] = {
    "query_id": "s1",
    "user_query": " red \n shoe",
    "client_id": "c1",
    "query_response_hit_ids": ["d1", "d2"],
    "query_attributes": {"twinrank.from": "20", "other": "x"},
}

EVENT: dict[str, Any] = {"query_id": "s1", "event_attributes": {"object": {"object_id": "d1"}}}


def test_a_recorded_search_is_the_page_that_was_shown() -> None:
    assert parse_page(SEARCH) == ShownPage("s1", "red shoe", "c1", ("d1", "d2"), 20)
    bare = {"query_id": "s1", "user_query": "red", "query_response_hit_ids": "d1"}
    assert parse_page(bare) == ShownPage("s1", "red", None, ("d1",), 0)


@pytest.mark.parametrize(
    "change",
    [
        {"query_id": None},
        {"user_query": ""},
        {"user_query": {"text": "red"}},
        {"user_query": None},
        {"query_response_hit_ids": []},
        {"query_response_hit_ids": None},
    ],
)
def test_a_search_without_text_or_hits_is_none(change: dict[str, Any]) -> None:
    assert parse_page(SEARCH | change) is None


@pytest.mark.parametrize("start", ["", "-1", "many", None, {}])
def test_a_page_whose_start_is_unknown_is_the_first_one(start: object) -> None:
    page = parse_page(SEARCH | {"query_attributes": {"twinrank.from": start}})
    assert page is not None
    assert page.start == 0


def test_a_click_names_its_search_and_its_document() -> None:
    assert parse_click(EVENT) == RecordedClick("s1", "d1")
    assert parse_click({"query_id": 5, "event_attributes": {"object": {"object_id": 0}}}) == RecordedClick(
        "5", "0"
    )
    for event in ({}, EVENT | {"query_id": None}, EVENT | {"event_attributes": {"object": {}}}):
        assert parse_click(event) is None
    assert parse_click(EVENT | {"event_attributes": {"object": "d1"}}) is None


def test_half_a_surrogate_can_be_written() -> None:
    page = parse_page(SEARCH | {"user_query": "red \ud800"})
    assert page is not None
    assert page.text == "red ?"


def test_records_are_chosen_by_application_and_time() -> None:
    assert RecordFilter().as_query() == {"match_all": {}}
    found = RecordFilter("shop", "2026-11-01").as_query({"term": {"action_name": "click"}})
    assert found["bool"]["filter"][:2] == [
        {"term": {"action_name": "click"}},
        {"term": {"application": "shop"}},
    ]
    assert found["bool"]["filter"][2]["range"]["timestamp"]["gte"] == "2026-11-01"
