"""The vector field is shown if a request names it, or an object that holds it, without a wildcard."""

import json
from typing import Any

import pytest

from opensearch.search.request import SearchRequest
from opensearch.search.requested_fields import asks_for, asks_in_documents, asks_in_url, names_among_fields
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target

FIELD = "rerank.vector"


def request(body: dict[str, Any], parameters: str = "") -> SearchRequest:
    return SearchRequest.parse(f"/books/_search?{parameters}", json.dumps(body).encode())


NAMED: list[dict[str, Any]] = [
    {"_source": FIELD}, {"_source": ["n", FIELD]}, {"_source": ["rerank"]},
    {"_source": {"includes": [FIELD]}},
    {"_source": {"include": "rerank"}}, {"fields": [FIELD]}, {"fields": [{"field": FIELD, "format": "x"}]},
    {"docvalue_fields": [FIELD]}, {"stored_fields": FIELD},
]  # fmt: skip
NOT_NAMED: list[dict[str, Any]] = [
    {}, {"_source": True}, {"_source": "rerank.*"}, {"_source": ["*"]}, {"_source": ["rerank.vectors"]},
    {"_source": {"excludes": [FIELD]}}, {"fields": ["*"]}, {"docvalue_fields": [{"field": "rer*"}]},
]  # fmt: skip


@pytest.mark.parametrize("body", NAMED, ids=json.dumps)
def test_named_in_a_body(body: dict[str, Any]) -> None:
    assert asks_for(request(body), FIELD)


@pytest.mark.parametrize("body", NOT_NAMED, ids=json.dumps)
def test_not_named_in_a_body(body: dict[str, Any]) -> None:
    assert not asks_for(request(body), FIELD)


@pytest.mark.parametrize(("parameters", "is_named"), [
    ({"_source": "n,rerank"}, True), ({"_source_includes": FIELD}, True), ({"_source": "rer*"}, False),
    ({"_source_excludes": FIELD}, False), ({"docvalue_fields": FIELD}, True), ({}, False),
])  # fmt: skip
def test_named_in_a_url(parameters: dict[str, str], is_named: bool) -> None:
    assert asks_in_url(parameters, FIELD) == is_named


@pytest.mark.parametrize(("body", "is_named"), [
    ({"docs": [{"_id": "1"}, {"_id": "2", "_source": ["rerank"]}]}, True),
    ({"docs": [{"_id": "1", "stored_fields": [FIELD]}]}, True),
    ({"docs": [{"_id": "1", "_source": "r*"}]}, False), ({"docs": 5}, False), ([1], False), (None, False),
])  # fmt: skip
def test_named_in_documents(body: object, is_named: bool) -> None:
    assert asks_in_documents(body, FIELD) == is_named


@pytest.mark.parametrize(("body", "parameters", "is_there"), [
    ({"fields": [FIELD]}, "", True), ({"docvalue_fields": [{"field": FIELD}]}, "", True),
    ({}, f"docvalue_fields=n,{FIELD}", True), ({"_source": [FIELD]}, "", False),
    ({"fields": ["rerank"]}, "", False),
])  # fmt: skip
def test_the_field_itself_among_fields(body: dict[str, Any], parameters: str, is_there: bool) -> None:
    assert names_among_fields(request(body, parameters), FIELD) == is_there


def test_a_targets_fields_are_those_of_each_index() -> None:
    target = Target(Skip("indices"), {"a": ("x.v",), "b": None, "c": ("y.v",)})
    assert (target.all_fields, target.is_ours) == (("x.v", "y.v"), False)
    found = [target.fields_of(name) for name in ("a", "b", None, "made-just-now", "cluster:a")]
    assert found == [("x.v",), (), ("x.v", "y.v"), ("x.v", "y.v"), ()]
    assert not Target(Skip("not_enabled")).is_ours
    with_its_own = Target(RerankSettings("m", ("t",)), {"a": ("x.v",), "b": ()})
    assert (with_its_own.is_ours, with_its_own.fields_of("b")) == (True, ())
