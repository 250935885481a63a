"""What rules do to a request: where documents are hidden, and what a boost is to OpenSearch."""

import json
import math
from typing import Any

import pytest

from opensearch.search.request import SearchRequest
from opensearch.search.rules import HiddenDocuments, RuleBoost, RuleEffects
from opensearch.settings.rules import BoostAction

HIDDEN = RuleEffects((HiddenDocuments(("a", "b"), ("1", "2")), HiddenDocuments(("c",), ("3",))))
CLAUSES = [
    {"bool": {"filter": [{"terms": {"_index": ["a", "b"]}}, {"ids": {"values": ["1", "2"]}}]}},
    {"bool": {"filter": [{"terms": {"_index": ["c"]}}, {"ids": {"values": ["3"]}}]}},
]
MATCH: dict[str, Any] = {"match": {"text": "tent"}}


def hide(body: dict[str, Any], parameters: str = "") -> SearchRequest:
    return HIDDEN.hide_in(SearchRequest.parse(f"/a/_search{parameters}", json.dumps(body).encode()))


def test_documents_are_hidden_in_the_query_by_index() -> None:
    found = hide({"query": MATCH, "size": 3})
    assert found.member("query") == {"bool": {"must": [MATCH], "must_not": CLAUSES}}
    assert (found.size, HIDDEN.num_hidden, HIDDEN.describe(), HIDDEN.describe(2)) == (
        3,
        5,
        "hide:5",
        "hide:5,boost:2",
    )


def test_without_a_query_everything_else_is_found() -> None:
    assert hide({}).member("query") == {"bool": {"must": [{"match_all": {}}], "must_not": CLAUSES}}


@pytest.mark.parametrize("query", [{"hybrid": {"queries": [MATCH]}}, {"knn": {"v": {"vector": [1], "k": 2}}}])
def test_a_query_that_stands_alone_keeps_its_place(query: dict[str, Any]) -> None:
    own = {"term": {"brand": "acme"}}
    found = hide({"query": query, "post_filter": own})
    assert found.member("query") == query
    assert found.member("post_filter") == {"bool": {"filter": [own], "must_not": CLAUSES}}
    assert hide({"query": query}).member("post_filter") == {"bool": {"must_not": CLAUSES}}


def test_q_goes_into_the_body_with_its_parameters() -> None:
    given = "?q=tent&df=text&default_operator=and&analyzer=english&analyze_wildcard=true&lenient=true&size=3"
    found = hide({"query": {"match_all": {}}}, given)
    own = {
        "query": "tent", "default_field": "text", "default_operator": "and", "analyzer": "english",
        "analyze_wildcard": "true", "lenient": "true",
    }  # fmt: skip
    assert found.member("query")["bool"]["must"] == [{"query_string": own}]
    assert found.parameters == {"size": "3"}


def test_nothing_to_hide_is_the_request_itself() -> None:
    request = SearchRequest.parse("/a/_search?q=tent", b"")
    assert RuleEffects().hide_in(request) is request


def test_a_bury_multiplies_the_others() -> None:
    boost = RuleBoost(3, BoostAction(2.0, ids=("1",)), is_bury=False)
    assert boost.as_function() == {"filter": {"ids": {"values": ("1",)}}, "weight": 2.0}
    assert boost.log_factor == math.log(2)
    bury = RuleBoost(4, BoostAction(3.0, term={"sold_out": True}), is_bury=True)
    named = {"term": {"sold_out": True}}
    assert bury.as_function() == {"filter": {"bool": {"must_not": [named]}}, "weight": 3.0}
    assert (bury.field, bury.value, boost.field) == ("sold_out", "true", None)


def test_what_cannot_be_ruled_is_said() -> None:
    assert RuleEffects(is_barred=True).describe() == "none"
    assert RuleEffects().describe() == ""
