"""Hybrid queries: which searches are admitted, how their scores are recognised, which pages they have."""

import json
from typing import Any

import msgspec
import pytest

from opensearch.search.decision import plan_search
from opensearch.search.hybrid import list_undefined
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.window_request import can_split, request_window
from opensearch.settings.search_pipeline import SearchPipeline
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import Target
from reranker.manifest import FusionDefault

SETTINGS = RerankSettings(model="tiny", source_fields=("text",))
DEFAULTS = FusionDefault("log_linear", 10.0, 0.5, 0.2)
MATCH: dict[str, Any] = {"match": {"text": "wait a bit"}}
KNN: dict[str, Any] = {"knn": {"embedding": {"vector": [1, 0], "k": 5}}}
HYBRID: dict[str, Any] = {"hybrid": {"queries": [MATCH, KNN]}}
RANKED = {"phase_results_processors": [{"score-ranker-processor": {"combination": {"technique": "rrf"}}}]}
DEFINITIONS = {
    "ranks": SearchPipeline("rrf", only_combines=True),
    "means": SearchPipeline("min_max", only_combines=True),
    "more": SearchPipeline("l2", only_combines=False),
    "other": SearchPipeline(),
}


def paged(**more: object) -> dict[str, Any]:
    return {"hybrid": {"queries": [MATCH, KNN], **more}}


def target(*pipelines: str, allowed: tuple[str, ...] = ()) -> Target:
    settings = msgspec.structs.replace(SETTINGS, pipelines_allowed=allowed)
    return Target(settings, {"a": (settings.field,)}, frozenset(pipelines), definitions=DEFINITIONS)


def parse(body: dict[str, Any], parameters: str = "") -> SearchRequest:
    return SearchRequest.parse(f"/a/_search{parameters}", json.dumps(body).encode())


def plan(body: dict[str, Any], parameters: str = "", at: Target | None = None) -> object:
    return plan_search(parse(body, parameters), at or target(), defaults=DEFAULTS).plan


@pytest.mark.parametrize(("body", "parameters", "at", "technique"), [
    ({"query": HYBRID}, "?search_pipeline=ranks", target(), "rrf"),
    ({"query": HYBRID, "search_pipeline": "means"}, "", target(), "min_max"),
    ({"query": HYBRID, "search_pipeline": RANKED}, "", target(), "rrf"),
    ({"query": HYBRID, "search_pipeline": "other"}, "?search_pipeline=ranks", target("more"), "rrf"),
    ({"query": HYBRID}, "", target("means"), "min_max"),
    ({"query": HYBRID}, "?search_pipeline=more", target(allowed=("more",)), "l2"),
    ({"query": HYBRID}, "?search_pipeline=other", target(allowed=("other",)), None),
    ({"query": HYBRID}, "?search_pipeline=absent", target(allowed=("absent",)), None),
    ({"query": MATCH}, "?search_pipeline=ranks", target(), None),
    ({"query": MATCH}, "", target("means", "ranks"), None),
    ({"query": HYBRID}, "?q=wait&search_pipeline=ranks", target(), None),
])  # fmt: skip
def test_a_pipeline_that_only_combines_is_no_obstacle(
    body: dict[str, Any], parameters: str, at: Target, technique: str | None
) -> None:
    found = plan(body, parameters, at)
    assert isinstance(found, Plan), found
    assert found.hybrid == technique


@pytest.mark.parametrize(("body", "parameters", "at"), [
    ({"query": HYBRID}, "?search_pipeline=more", target()),
    ({"query": HYBRID}, "?search_pipeline=absent", target()),
    ({"query": MATCH}, "?search_pipeline=other", target()),
    ({"query": HYBRID}, "", target("means", "more")),
    ({"query": HYBRID, "search_pipeline": {**RANKED, "response_processors": [{"x": {}}]}}, "", target()),
    ({"query": HYBRID, "search_pipeline": {"request_processors": []}}, "", target()),
    ({"query": HYBRID, "search_pipeline": 7}, "", target()),
])  # fmt: skip
def test_any_other_pipeline_is_one(body: dict[str, Any], parameters: str, at: Target) -> None:
    assert plan(body, parameters, at) == Skip("search_pipeline")


@pytest.mark.parametrize("at", [target(), target("means", "ranks")])
@pytest.mark.parametrize("parameters", ["", "?search_pipeline=_none"])
def test_a_hybrid_query_without_a_pipeline_is_left_alone(at: Target, parameters: str) -> None:
    """OpenSearch uses none if the indices have different ones by default."""
    assert plan({"query": HYBRID}, parameters, at) == Skip("hybrid")
    assert isinstance(plan({"query": MATCH}, parameters, at), Plan)


@pytest.mark.parametrize(("query", "start", "reason"), [
    (HYBRID, 0, None), (HYBRID, 10, "pagination_depth"), (paged(pagination_depth=50), 10, None),
    (paged(pagination_depth="50"), 10, None), (paged(pagination_depth=None), 10, "pagination_depth"),
    (paged(pagination_depth=50), 100, "beyond_window"), (HYBRID, 100, "pagination_depth"), (MATCH, 10, None),
])  # fmt: skip
def test_a_later_page_needs_a_depth(query: dict[str, Any], start: int, reason: str | None) -> None:
    found = plan({"query": query, "from": start}, "?search_pipeline=ranks")
    assert found == Skip(reason) if reason else isinstance(found, Plan)


def test_the_window_keeps_the_clients_depth_and_pipeline() -> None:
    body = {"query": paged(pagination_depth=50), "from": 90, "size": 20, "search_pipeline": "means"}
    found = plan(body)
    assert isinstance(found, Plan)
    sent = request_window(found)
    assert json.loads(sent.body) == {**body, "from": 0, "size": 110}
    assert not can_split(found)


@pytest.mark.parametrize(("body", "parameters", "at", "names"), [
    ({"query": HYBRID}, "?search_pipeline=new", target(), ("new",)),
    ({"query": HYBRID}, "?search_pipeline=ranks", target(), ()),
    ({"query": HYBRID}, "?search_pipeline=_none", target("new"), ()),
    ({"query": MATCH, "search_pipeline": RANKED}, "", target("new"), ()),
    ({"query": MATCH}, "", target("new", "newer"), ("new", "newer")),
    ({"query": MATCH}, "", target("new", allowed=("new",)), ()),
    ({"query": HYBRID}, "", target("new", allowed=("new",)), ("new",)),
])  # fmt: skip
def test_only_what_decides_is_looked_up(
    body: dict[str, Any], parameters: str, at: Target, names: tuple[str, ...]
) -> None:
    assert list_undefined(parse(body, parameters), at) == names


@pytest.mark.parametrize("query", [
    b'{"bool":{"must":[{"match":{"text":"hybrid"}}]}}', b'{"match":{"hybrid":"wait"}}', b'["hybrid"]',
    b'"hybrid"',
])  # fmt: skip
def test_a_word_does_not_make_a_query_hybrid(query: bytes) -> None:
    request = SearchRequest.parse("/a/_search?search_pipeline=new", b'{"query":%b}' % query)
    assert list_undefined(request, target(allowed=("new",))) == ()
