"""Pins in a page, against the whole list with the pins put into it; and the requests for both parts."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from opensearch.search.pins import PinnedHit, PinnedPage, match_pins, request_pins
from opensearch.search.request import SearchRequest
from opensearch.search.rules import RulePin

MATCH: dict[str, Any] = {"match": {"text": "tent"}}


def hit(index: str, id_: str) -> dict[str, Raw]:
    return {"_index": Raw(json.dumps(index).encode()), "_id": Raw(json.dumps(id_).encode())}


def page_of(positions: list[int], start: int, end: int) -> PinnedPage:
    pins = [PinnedHit({}, "a", f"p{n}", each) for n, each in enumerate(sorted(positions))]
    return PinnedPage(tuple(pins), start, end)


def insert_all(positions: list[int], num_others: int) -> list[str]:
    """Return the whole list, made the plain way: each pin at its place, the next free one, or the end."""
    shown = [f"o{n}" for n in range(num_others)]
    last = -1
    for number, position in enumerate(sorted(positions)):
        last = max(position - 1, last + 1)
        shown.insert(last, f"p{number}")  # at the end if that is beyond it
    return shown


def read_page(page: PinnedPage, num_others: int) -> tuple[list[str], list[str]]:
    """Return what a page shows, and for each pin on it whose score it takes, of so many other hits."""
    found = [f"o{n}" for n in range(num_others)][page.lower : page.upper]
    merged = page.merge(len(found))
    shown = [found[other] if number is None else page.pins[number].id for number, other in merged]
    above = ["" if other < 0 else found[other] for number, other in merged if number is not None]
    return shown, above


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 25), min_size=1, max_size=6), st.integers(0, 25), st.integers(1, 9))
def test_pages_are_slices_of_the_whole_list(positions: list[int], num_others: int, size: int) -> None:
    whole = insert_all(positions, num_others)
    for start in range(0, len(whole) + 2 * size, size):
        page = page_of(positions, start, start + size)
        shown, above = read_page(page, num_others)
        assert shown == whole[start : start + size]
        pinned = [place for place in range(start, start + len(shown)) if whole[place].startswith("p")]
        neighbours = [[each for each in whole[:place] if each.startswith("o")][-1:] for place in pinned]
        assert above == ["".join(each) for each in neighbours]
        assert page.upper - page.lower <= size + len(positions) + 1


def test_two_on_one_place_follow_each_other() -> None:
    assert read_page(page_of([2, 2, 3], 0, 6), 9)[0] == ["o0", "p0", "p1", "p2", "o1", "o2"]
    assert page_of([2, 2, 3], 0, 6).slots == (1, 2, 3)


def test_the_first_rules_pin_comes_first_and_holds() -> None:
    pins = [RulePin("b", 1), RulePin("a", 1), RulePin("c", 1), RulePin("a", 9)]
    hits = [hit("x", "a"), hit("y", "a"), hit("x", "b")]
    found = match_pins(hits, pins)
    assert [(each.index, each.id, each.position) for each in found] == [
        ("x", "b", 1),
        ("x", "a", 1),
        ("y", "a", 1),
    ]


def request(body: dict[str, Any], parameters: str = "") -> SearchRequest:
    return SearchRequest.parse(f"/a/_search{parameters}", json.dumps(body).encode())


def test_the_other_hits_are_asked_for_without_the_pinned() -> None:
    pins = (PinnedHit({}, "a", "1", 1), PinnedHit({}, "b", "1", 1), PinnedHit({}, "a", "2", 12))
    own = {"term": {"brand": "acme"}}
    asked = PinnedPage(pins, 10, 20).request_others(
        request({"query": MATCH, "post_filter": own}, "?from=10&size=10")
    )
    assert (asked.from_, asked.size, asked.parameters) == (5, 12, {})
    assert asked.member("query") == MATCH
    excluded = [
        {"bool": {"filter": [{"terms": {"_index": [index]}}, {"ids": {"values": ids}}]}}
        for index, ids in (("a", ["1", "2"]), ("b", ["1"]))
    ]
    assert asked.member("post_filter") == {"bool": {"filter": [own], "must_not": excluded}}


def test_pins_are_found_by_the_whole_query() -> None:
    body = {
        "query": MATCH, "post_filter": {"term": {"a": 1}}, "aggs": {"a": {}}, "from": 20, "size": 5,
        "highlight": {"fields": {"text": {}}}, "_source": ["text"], "min_score": 1,
    }  # fmt: skip
    call = request_pins(
        request(body, "?preference=me&pretty&filter_path=hits"), [RulePin("1", 1), RulePin("1", 2)], 7
    )
    assert call.target == "/a/_search?preference=me&pretty=true"
    assert json.loads(call.body) == {
        "query": {"bool": {"must": [MATCH], "filter": [{"ids": {"values": ["1"]}}]}},
        "post_filter": {"term": {"a": 1}},
        "highlight": {"highlight_query": MATCH, "fields": {"text": {}}},
        "_source": ["text"],
        "min_score": 1,
        "size": 7,
        "track_total_hits": False,
    }


@pytest.mark.parametrize("query", [{"hybrid": {"queries": [MATCH]}}, {"knn": {"v": {"vector": [1], "k": 2}}}])
def test_what_stands_alone_is_filtered_after(query: dict[str, Any]) -> None:
    call = request_pins(request({"query": query, "post_filter": {"term": {"a": 1}}}), [RulePin("1", 1)], 1)
    found = json.loads(call.body)
    assert found["query"] == query
    assert found["post_filter"] == {"bool": {"filter": [{"term": {"a": 1}}, {"ids": {"values": ["1"]}}]}}


def test_q_is_found_in_the_body() -> None:
    call = request_pins(request({}, "?q=tent&df=text"), [RulePin("1", 1)], 1)
    assert call.target == "/a/_search"
    string = {"query_string": {"query": "tent", "default_field": "text"}}
    assert json.loads(call.body)["query"]["bool"]["must"] == [string]
