"""The text that a query asks for."""

from typing import Any

import pytest

from opensearch.query_text import query_text

MATCH = {"match": {"text": "wait a bit"}}

FOUND: list[tuple[dict[str, Any], str | None]] = [
    (MATCH, "wait a bit"),
    ({"match": {"text": {"query": "wait a bit", "operator": "and", "boost": 2}}}, "wait a bit"),
    ({"multi_match": {"query": "wait a bit", "fields": ["title^3", "text"]}}, "wait a bit"),
    ({"bool": {"must": MATCH}}, "wait a bit"),
    ({"bool": {"must": [MATCH], "should": [{"match": {"title": "sleep"}}]}}, "wait a bit sleep"),
    ({"bool": {"should": [MATCH, {"match": {"title": "wait a bit"}}]}}, "wait a bit"),
    ({"bool": {"must": [{"bool": {"should": [MATCH]}}]}}, "wait a bit"),
    ({"bool": {"filter": [MATCH], "must_not": [MATCH]}}, None),
    ({"bool": {"must": [MATCH], "filter": [{"match": {"lang": "en"}}]}}, "wait a bit"),
    ({"match": {"year": 1970}}, None),
    ({"match": {"text": "  "}}, None),
    ({"match_all": {}}, None),
    ({"range": {"year": {"gte": 1970}}}, None),
    ({"a_query_type_of_tomorrow": {"text": "wait"}}, None),
    ({"match": "no object"}, None),
    ({"bool": {"must": "no clause"}}, None),
    ({}, None),
]


@pytest.mark.parametrize(("query", "text"), FOUND)
def test_text_of(query: dict[str, Any], text: str | None) -> None:
    assert query_text(query) == text


@pytest.mark.parametrize("query", [None, 1, "wait", [], [MATCH], {"match": {}, "bool": {}}])
def test_what_is_no_query_has_no_text(query: object) -> None:
    assert query_text(query) is None


def test_twenty_levels_of_bool_are_followed() -> None:
    query: dict[str, Any] = MATCH
    for _ in range(20):
        query = {"bool": {"must": [query]}}
    assert query_text(query) == "wait a bit"


def test_a_thousand_levels_are_passed_over() -> None:
    query: dict[str, Any] = MATCH
    for _ in range(1000):
        query = {"bool": {"must": [query]}}
    assert query_text(query) is None
