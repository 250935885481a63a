"""The text that a query asks for: every query type, what never contributes, input of any shape and size."""

import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch.query.text import VISITORS, find_query_text
from tests.support.paths import DOCS
from tests.support.searches.query_examples import (
    MATCH,
    TEXT,
    WITH_TEXT,
    WITH_TEXT_BY_PLUGIN,
    WITHOUT_TEXT,
    Query,
    wrapped,
)

DOCUMENT = DOCS / "reference/query-text.md"
OTHER: Query = {"match": {"text": "sleep"}}


@pytest.mark.parametrize("query", [*WITH_TEXT, *WITH_TEXT_BY_PLUGIN], ids=str)
def test_text_is_found(query: Query) -> None:
    assert find_query_text(query) == TEXT


@pytest.mark.parametrize("query", WITHOUT_TEXT, ids=str)
def test_no_text_is_found(query: Query) -> None:
    assert find_query_text(query) is None


def rule(rule: Query) -> Query:
    return {"intervals": {"text": rule}}


DETAILS: list[tuple[Query, str | None]] = [
    ({"bool": {"must": [MATCH], "should": [OTHER]}}, "wait a bit sleep"),
    ({"bool": {"should": [OTHER, MATCH, OTHER]}}, "sleep wait a bit"),
    ({"bool": {"filter": [MATCH], "must_not": [MATCH]}}, None),
    ({"bool": {"must": [{"bool": {"filter": MATCH, "should": OTHER}}]}}, "sleep"),
    ({"boosting": {"positive": OTHER, "negative": MATCH}}, "sleep"),
    ({"function_score": {"functions": [{"filter": MATCH}]}}, None),
    ({"more_like_this": {"like": ["sleep", {"_id": "1"}, {"doc": {"text": "x"}}], "unlike": "y"}}, "sleep"),
    ({"neural": {"vector": {"query_image": "aGk=", "model_id": "m"}}}, None),
    (rule({"all_of": {"intervals": [
        {"match": {"query": "hot water", "filter": {"not_containing": {"match": {"query": "salt"}}}}},
        {"any_of": {"intervals": [{"prefix": {"prefix": "porr"}}, {"fuzzy": {"term": "oats"}}]}},
        {"wildcard": {"pattern": "o?ts"}}, {"regexp": {"pattern": "o.*"}},
    ], "filter": {"before": {"match": {"query": "cold"}}}}}), "hot water porr oats"),
    (rule({"any_of": {"intervals": [
        {"wildcard": {"pattern": "*oat*"}}, {"regexp": {"pattern": ".*rye.*"}},
    ]}}), "oat rye"),
    (rule({"any_of": {"intervals": [
        {"wildcard": {"pattern": "*oat*"}}, {"match": {"query": "rye"}},
    ]}}), "rye"),
    ({"bool": {"should": [{"wildcard": {"a": "*red shoe*"}}, {"wildcard": {"b": "*Red  shoe*"}}]}},
     "red shoe Red shoe"),
    ({"bool": {"must": [OTHER], "should": [{"wildcard": {"path": "*/api/*"}}]}}, "sleep"),
    ({"bool": {"must": [{"match_all": {}}], "filter": [{"wildcard": {"a": "*red*"}}]}}, None),
    ({"constant_score": {"filter": {"wildcard": {"a": "*red*"}}}}, "red"),
    ({"wildcard": {"a": r"*9\*9 \?*"}}, "9*9 ?"),
    *(({"wildcard": {name: pattern}}, None) for name, pattern in [
        ("a", "red*"), ("a", "*red"), ("a", "*r?d*"), ("a", "*"), ("a", "**"), ("a", "*.*"), ("a", ""),
        ("_index", "*red*"), ("a", 5),
    ]),
    ({"regexp": {"a": r".*a\.b.*"}}, "a.b"),
    *(({"regexp": {"a": pattern}}, None) for pattern in (
        "red.*", ".*[rR]ed.*", ".*red|blue.*", r".*\d.*", ".*.*", ".+red.+", "red",
    )),
    ({"query_string": {"query": "*red* AND *shoe*", "analyze_wildcard": True}}, "red shoe"),
    ({"bool": {"must": [{"query_string": {"query": "*red running shoe*", "fields": ["a", "b^2"]}}]}},
     "red running shoe"),
    (wrapped(wrapped(OTHER)), "sleep"),
    (wrapped([1]), None),
    ({"wrapper": {"query": "no base64!"}}, None),
    ({"wrapper": {"query": "bm8gSlNPTg=="}}, None),
    ({"wrapper": {"query": 5}}, None),
    ({"match": {"year": 1970}}, None),
    ({"match": {"text": "  "}}, None),
    ({"a_query_type_of_tomorrow": {"text": "wait"}}, None),
    ({"match": "no object"}, None),
    ({"bool": {"must": "no clause"}}, None),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("query", "text"), DETAILS, ids=str)
def test_text_of(query: Query, text: str | None) -> None:
    assert find_query_text(query) == text


@pytest.mark.parametrize(("flags", "text"), [
    (None, "wait"), ("ALL", "wait"), ("", "wait"), ("OR|NOT", "wait"), (-1, "wait"), (2, "wait"),
    ("NONE", "wait -bit"), ("or|prefix", "wait -bit"), (1, "wait -bit"), ({}, "wait"),
])  # fmt: skip
def test_flags_of_a_simple_query_string(flags: object, text: str) -> None:
    assert find_query_text({"simple_query_string": {"query": "wait -bit", "flags": flags}}) == text


@pytest.mark.parametrize("query", [None, 1, "wait", [], [MATCH], {"match": {}, "bool": {}}])
def test_what_is_no_query_has_no_text(query: object) -> None:
    assert find_query_text(query) is None


def nested_in_bool(levels: int) -> Query:
    query = MATCH
    for _ in range(levels):
        query = {"bool": {"must": [query]}}
    return query


def test_twenty_levels_of_bool_are_followed() -> None:
    assert find_query_text(nested_in_bool(20)) == TEXT


def nested_rule(levels: int) -> Query:
    inner: Query = {"match": {"query": TEXT}}
    for _ in range(levels):
        inner = {"all_of": {"intervals": [inner]}}
    return rule(inner)


@pytest.mark.parametrize("query", [nested_in_bool(1000), nested_rule(1000)], ids=["bool", "intervals"])
def test_a_thousand_levels_are_passed_over(query: Query) -> None:
    assert find_query_text(query) is None


def test_depth_is_of_one_branch_not_of_all() -> None:
    """Many clauses side by side are not deep."""
    assert find_query_text({"bool": {"should": [nested_in_bool(60), *[nested_in_bool(60)] * 5, OTHER]}}) == (
        "wait a bit sleep"
    )


def test_all_query_strings_of_a_search_share_one_limit() -> None:
    query: Query = {"bool": {"should": [{"query_string": {"query": f"word{n:05}"}} for n in range(2000)]}}
    found = find_query_text(query)
    assert found is not None
    assert found.split()[:1111] == [f"word{n:05}" for n in range(1111)]
    assert len(found.split()) == 1112


LONG = "wait a bit " * 9_100
LARGE: list[Any] = [
    {"bool": {"should": [{"match": {"text": f"word{n}"}} for n in range(1024)]}},
    {"match": {"text": LONG}},
    {"query_string": {"query": LONG}},
    {"query_string": {"query": '"' * 100_000}},
    {"query_string": {"query": "(" * 100_000}},
    {"simple_query_string": {"query": "-(" * 50_000}},
    {"bool": {"should": [{"query_string": {"query": f'{n}"' + '"' * 1900}} for n in range(1024)]}},
    {"query_string": {"query": "*a" * 50_000}},
    {"query_string": {"query": '*"' * 50_000}},
    {"simple_query_string": {"query": "*a" * 50_000}},
    {"bool": {"should": [{"wildcard": {"a": "*a" * 5_000}} for _ in range(1024)]}},
    {"bool": {"should": [{"regexp": {"a": ".*a" * 5_000}} for _ in range(1024)]}},
]


@pytest.mark.parametrize("query", LARGE, ids=lambda query: str(query)[:40])
def test_large_queries_take_little_time(query: Query) -> None:
    """Far less than luqum alone takes for 100 KB; most need some milliseconds."""
    started_s = time.thread_time()
    find_query_text(query)
    assert time.thread_time() - started_s < 2  # of processor time, some milliseconds on a quiet machine


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
MEMBERS = ("query", "query_text", "queries", "must", "should", "filter", "positive", "like", "flags", "match",
           "prefix", "all_of", "any_of", "intervals", "text")  # fmt: skip
queries = st.recursive(
    json_values,
    lambda inner: st.dictionaries(
        st.sampled_from((*VISITORS, *MEMBERS)), inner | st.lists(inner, max_size=3), max_size=2
    ),
    max_leaves=20,
)


@settings(max_examples=300, deadline=2_000)
@given(st.sampled_from(sorted(VISITORS)), queries | st.dictionaries(st.sampled_from(MEMBERS), queries))
def test_no_json_is_an_error(name: str, body: object) -> None:
    found = find_query_text({name: body})
    assert found is None or found.strip()


def documented() -> dict[str, str]:
    """Each query type of the table, and its second column."""
    rows = re.findall(r"^\| `(\w+)` \| (yes|inside|no) \|", DOCUMENT.read_text(), re.MULTILINE)
    assert len(dict(rows)) == len(rows), "a type is twice in the table"
    return dict(rows)


def test_the_table_of_the_docs_is_that_of_the_code() -> None:
    assert {name for name, found in documented().items() if found != "no"} == set(VISITORS)


def test_every_documented_type_has_its_example() -> None:
    examples = (*WITH_TEXT, *WITH_TEXT_BY_PLUGIN, *WITHOUT_TEXT)
    assert {name for query in examples for name in query} == set(documented())
