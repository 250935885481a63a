"""`min_probability` on a real OpenSearch: pages and totals, whole or cut, and what a failure shows."""

import json
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from opensearch.index.enable import EnableRequest, enable
from opensearch.settings.layers import BundleDefaults
from opensearch.settings.table import SettingsError
from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from plugin.upstream.connecting import Connecting
from reranker.crossing import Cosine
from tests.support.http.raw_http import RawAnswer, ids, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.searches.several_searches import item_ids, items, lines, msearch

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

WINDOW = 50


@pytest.fixture(scope="module")
def least(proxy_url: str, toy_index: ToyIndex) -> float:
    """Return the probability that 20 hits of the window are below."""
    answer = run(proxy_url, toy_index, explain=True, size=WINDOW)
    hits = json.loads(answer.body)["hits"]["hits"]
    found: float = sorted(hit["_rerank"]["probability"] for hit in hits)[20]
    return found - 1e-6


def controls(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"rerank": {"window_size": WINDOW, "fusion": {"weight": 1, "feedback": 0, "smoothing": 0}, **more}}


def run(
    url: str,
    toy: ToyIndex,
    parameters: str = "",
    *,
    size: int = 10,
    start: int = 0,
    **more: Any,  # noqa: ANN401
) -> RawAnswer:
    body = {"query": toy.query, "size": size, "from": start, "ext": controls(**more)}
    return search(url, toy.name, body, parameters)


def pages(url: str, toy: ToyIndex, size: int, **more: Any) -> list[list[str]]:  # noqa: ANN401
    return [ids(run(url, toy, size=size, start=start, **more)) for start in range(0, toy.num_documents, size)]


@pytest.mark.parametrize("size", [7, 30, 64])
def test_demoted_hits_end_the_window_and_pages_are_every_hit_once(
    proxy_url: str, toy_index: ToyIndex, least: float, size: int
) -> None:
    found = [key for page in pages(proxy_url, toy_index, size, min_probability=least) for key in page]
    usual = ids(run(proxy_url, toy_index, size=toy_index.num_documents))
    assert len(set(found)) == len(found) == toy_index.num_documents
    assert sorted(found[:WINDOW]) == sorted(usual[:WINDOW])
    assert found[:WINDOW] != usual[:WINDOW]
    assert found[WINDOW:] == usual[WINDOW:]


@pytest.mark.parametrize("size", [7, 30, 64])
def test_a_result_that_is_cut_ends_with_the_kept_hits(
    proxy_url: str, toy_index: ToyIndex, least: float, size: int
) -> None:
    """Later pages are empty, those beyond the window too, and every page has the same total."""
    cut: dict[str, Any] = {"min_probability": least, "on_low_probability": "cut"}
    demoted = ids(run(proxy_url, toy_index, size=WINDOW, min_probability=least))
    found = pages(proxy_url, toy_index, size, **cut)
    assert [key for page in found for key in page] == demoted[: WINDOW - 20]
    assert found[-1] == []
    for start in (0, 20, 49, 50, 129, 5_000):
        answer = run(proxy_url, toy_index, size=size, start=start, **cut)
        assert "; cut=20; kept=30; " in answer.rerank_status
        assert json.loads(answer.body)["hits"]["total"] == {"value": 30, "relation": "eq"}


def test_the_total_has_the_form_that_the_client_asks_for(
    proxy_url: str, toy_index: ToyIndex, least: float
) -> None:
    cut: dict[str, Any] = {"min_probability": least, "on_low_probability": "cut"}
    for parameters, total in (
        ("?rest_total_hits_as_int=true", 30),
        ("?track_total_hits=5", {"value": 30, "relation": "eq"}),
        ("?track_total_hits=false", None),
        ("?filter_path=hits.total,hits.hits._id", {"value": 30, "relation": "eq"}),
        ("?filter_path=hits.total,hits.hits._id&pretty", {"value": 30, "relation": "eq"}),
    ):
        answer = json.loads(run(proxy_url, toy_index, parameters, **cut).body)
        assert answer["hits"].get("total") == total, parameters


def test_nothing_may_be_left(proxy_url: str, toy_index: ToyIndex) -> None:
    cut: dict[str, Any] = {"min_probability": 1, "on_low_probability": "cut"}
    for score in ("first_stage", "fused", "probability"):
        found = json.loads(run(proxy_url, toy_index, **cut, score=score).body)["hits"]
        assert found == {"total": {"value": 0, "relation": "eq"}, "max_score": None, "hits": []}


def test_facets_are_those_of_the_whole_result(proxy_url: str, toy_index: ToyIndex, least: float) -> None:
    ext = controls(min_probability=least, on_low_probability="cut")
    body = {"query": toy_index.query, "aggs": {"all": {"value_count": {"field": "n"}}}, "ext": ext}
    answer = search(proxy_url, toy_index.name, body)
    assert json.loads(answer.body)["aggregations"]["all"]["value"] == toy_index.num_documents


def test_a_search_that_is_not_reranked_is_not_cut(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex
) -> None:
    cut: dict[str, Any] = {"min_probability": 1, "on_low_probability": "cut"}
    plain = [hit["_id"] for hit in toy_index.first_stage(toy_index.num_documents)]
    body = {"query": toy_index.query, "sort": ["n"], "ext": controls(**cut)}
    assert json.loads(search(proxy_url, toy_index.name, body).body)["hits"]["total"]["value"] == len(plain)
    off = run(proxy_url, toy_index, size=60, start=60, enabled=False, **cut)
    assert ids(off) == plain[60:120]


def test_an_item_of_several_searches_is_cut_too(proxy_url: str, toy_index: ToyIndex, least: float) -> None:
    ext = controls(min_probability=least, on_low_probability="cut")
    bodies = [{"query": toy_index.query, "from": start, "ext": ext} for start in (0, 25, 90)]
    header = {"index": toy_index.name}
    answer = msearch(proxy_url, lines(*(part for body in bodies for part in (header, body))))
    assert answer.rerank_status.endswith("items=0-2:applied")
    assert [len(item_ids(item)) for item in items(answer)] == [10, 5, 0]
    assert {item["hits"]["total"]["value"] for item in items(answer)} == {30}


def test_a_bundle_without_calibration_has_no_least_probability(
    opensearch_url: str, toy_index: ToyIndex
) -> None:
    """A search says why it is passed through, and the settings are refused."""
    model = replace(Model.load(toy_index.bundle), crossing=Cosine(scale=1.0, offset=0.0))
    body = {"query": toy_index.query, "ext": controls(min_probability=0.1)}
    with closing(Upstream(opensearch_url)) as upstream:
        answer = Client(Proxy(upstream, model)).post(f"/{toy_index.name}/_search", json=body, buffered=True)
    assert (answer.status_code, answer.headers["Rerank-Status"]) == (200, "skipped; reason=uncalibrated")
    assert not model.defaults.is_calibrated
    bundle = BundleDefaults("raw", "tiny", {}, is_calibrated=False)
    wanted = EnableRequest("tiny", {"min_probability": 0.1}, bundle)
    refused = r"min_probability: expected no value, since raw is not calibrated, found 0\.1\. Nothing was"
    with (
        closing(Connecting(opensearch_url).client()) as connected,
        pytest.raises(SettingsError, match=refused),
    ):
        enable(connected, toy_index.name, wanted)
