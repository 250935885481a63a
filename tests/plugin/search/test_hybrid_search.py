"""Hybrid searches through the proxy, with recorded answers: admission, order, explanation, lookups."""

import base64
import json
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from reranker.hybrid_scores import SCALES
from reranker.stored_vector import pack, unpack
from tests.support.http.routed_upstream import Route, RoutedUpstream, SentRequest, routed
from tests.support.hybrid_bodies import BOUNDED, EXPLAINED, WEIGHTED_RANKS, Z_SCORE, Z_SCORES
from tests.support.paths import TINY_BUNDLE

BUNDLE = Bundle.open(TINY_BUNDLE)
TEXT = "wait"
HYBRID: dict[str, Any] = {
    "hybrid": {"queries": [{"match": {"text": TEXT}}, {"knn": {"embedding": {"vector": [1, 0], "k": 9}}}]}
}
PIPELINES = {"z": Z_SCORE, "bounded": BOUNDED, "ranks": WEIGHTED_RANKS, "explained": EXPLAINED}
PIPELINE_PATH = "/_search/pipeline/"


def make_hits() -> list[dict[str, Any]]:
    vectors = np.random.default_rng(4).normal(size=(len(Z_SCORES), BUNDLE.manifest.dim)).astype(np.float32)
    return [
        {
            "_index": "books",
            "_id": str(n),
            "_score": score,
            "_source": {"text": f"text {n}", "rerank": {"vector": base64.b64encode(
                pack((row / np.linalg.norm(row))[None], text_hash=0, model_tag=BUNDLE.model_tag)).decode()}},
        }
        for n, (score, row) in enumerate(zip(Z_SCORES, vectors, strict=True))
    ]  # fmt: skip


HITS = make_hits()


@dataclass
class Bench:
    upstream: RoutedUpstream
    client: Client

    def search(self, pipeline: str | None, **more: Any) -> TestResponse:  # noqa: ANN401  # any JSON
        body = {"query": HYBRID, "size": 3, **more}
        target = "/books/_search" + ("" if pipeline is None else f"?search_pipeline={pipeline}")
        return self.client.post(target, json=body, buffered=True)

    def lookups(self) -> list[SentRequest]:
        return [each for each in self.upstream.sent if each.path.startswith(PIPELINE_PATH)]


def answer_search(request: SentRequest) -> tuple[int, object]:
    body = json.loads(request.body)
    start = body.get("from", 0)
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    shown = HITS[start : start + body.get("size", 10)]
    hits = {"total": {"value": 9, "relation": "eq"}, "max_score": Z_SCORES[0], "hits": shown}
    return 200, {"took": 1, "timed_out": False, "_shards": shards, "hits": hits}


@contextmanager
def bench(default: str = "_none", **settings: Any) -> Iterator[Bench]:  # noqa: ANN401  # any setting
    meta = {"model": BUNDLE.name, "source_fields": ["text"], "deadline_ms": 10_000, **settings}
    of_index = {"creation_date": "1", "search": {"default_pipeline": default}}
    index = {"books": {"mappings": {"_meta": {"rerank": meta}}, "settings": {"index": of_index}}}
    routes: dict[str, Route] = {"/books": lambda _: (200, index), "/books/_search": answer_search}
    with routed(routes) as upstream, closing(Upstream(upstream.url)) as connected:
        made = Bench(upstream, Client(Proxy(connected, Model.load(BUNDLE), SettingsCache(connected))))

        def answer_pipeline(request: SentRequest) -> tuple[int, object]:
            name = request.path.removeprefix(PIPELINE_PATH)
            return (200, {name: PIPELINES[name]}) if name in PIPELINES else (404, {})

        for name in (*PIPELINES, "absent"):
            upstream.routes[PIPELINE_PATH + name] = answer_pipeline
        yield made


def read(answer: TestResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.data)
    return found


def ids(answer: TestResponse) -> list[str]:
    return [hit["_id"] for hit in read(answer)["hits"]["hits"]]


def status(answer: TestResponse) -> str:
    return answer.headers["Rerank-Status"]


def expected_order(technique: str) -> list[str]:
    """Return the order of the scaled scores times exp(weight x crossing), computed one by one."""
    query, crossing = BUNDLE.load_query_encoder()(TEXT), BUNDLE.load_crossing()
    fused = {}
    for hit in HITS:
        stored = unpack(base64.b64decode(hit["_source"]["rerank"]["vector"]))
        cosine = float(crossing(query, stored.values).max())
        share = hit["_score"] / Z_SCORES[0]
        fused[hit["_id"]] = SCALES[technique] * share + BUNDLE.manifest.fusion.weight * cosine
    return sorted(fused, key=lambda each: -fused[each])


@pytest.mark.parametrize(
    ("pipeline", "technique"), [("z", "z_score"), ("bounded", "min_max"), ("ranks", "rrf")]
)
def test_a_hybrid_search_is_reranked_by_its_scaled_scores(pipeline: str, technique: str) -> None:
    with bench() as found:
        answer = found.search(pipeline, size=5)
    assert status(answer).startswith(f"applied; window=5; scored=5; hybrid={technique}; model=")
    assert ids(answer) == expected_order(technique)
    assert [hit["_score"] for hit in read(answer)["hits"]["hits"]] == list(Z_SCORES)


def test_a_default_pipeline_and_one_in_the_body_count_alike() -> None:
    with bench(default="z") as found:
        by_default, in_url = found.search(None, size=5), found.search("z", size=5)
        in_body, whole = (found.search(None, size=5, search_pipeline=each) for each in ("z", Z_SCORE))
    assert {status(each) for each in (by_default, in_url, in_body, whole)} == {status(in_url)}
    assert ids(by_default) == ids(in_url) == ids(in_body) == ids(whole) == expected_order("z_score")


@pytest.mark.parametrize("pipeline", ["explained", "absent"])
def test_any_other_pipeline_is_left_to_opensearch(pipeline: str) -> None:
    with bench() as found:
        answer = found.search(pipeline)
        (sent,) = found.upstream.sent_to("/books/_search")
    assert status(answer) == "skipped; reason=search_pipeline"
    assert json.loads(sent.body)["size"] == 3
    assert ids(answer) == ["0", "1", "2"]


def test_a_pipeline_that_may_not_be_read_is_left_to_opensearch() -> None:
    with bench() as found:
        found.upstream.routes[PIPELINE_PATH + "z"] = lambda _: (403, {"error": "no permissions"})
        assert status(found.search("z")) == "skipped; reason=search_pipeline"
    with bench(pipelines_allowed=["z"]) as found:
        found.upstream.routes[PIPELINE_PATH + "z"] = lambda _: (403, {"error": "no permissions"})
        assert status(found.search("z")).startswith("applied; window=5; scored=5; model=")


def test_a_definition_is_read_once_as_the_caller_and_again_after_a_change() -> None:
    with bench() as found:
        who = {"Authorization": "Basic eDp5"}  # pragma: allowlist secret
        for _ in range(3):
            target = "/books/_search?search_pipeline=z"
            found.client.post(target, json={"query": HYBRID}, headers=who, buffered=True)
        (looked_up,) = found.lookups()
        assert looked_up.headers["Authorization"] == who["Authorization"]
        found.search("z")
        assert len(found.lookups()) == 2  # another caller
        found.upstream.routes[PIPELINE_PATH + "z"] = lambda _: (200, {"z": EXPLAINED})
        assert found.client.put(PIPELINE_PATH + "z", json=EXPLAINED, buffered=True).status_code == 200
        assert status(found.search("z")) == "skipped; reason=search_pipeline"


def test_other_searches_look_nothing_up() -> None:
    with bench() as found:
        assert status(found.search(None, query={"match": {"text": TEXT}})).startswith("applied")
        assert status(found.search("_none")) == "skipped; reason=hybrid"
        assert found.lookups() == []


def test_another_query_through_the_pipeline_has_its_own_scores() -> None:
    with bench(default="z") as found:
        answer = found.search(None, query={"match": {"text": TEXT}})
    assert "hybrid=" not in status(answer)
    assert status(answer).startswith("applied")


@pytest.mark.parametrize("method", ["weighted", "rrf", "none"])
def test_the_other_methods_take_the_scores_as_they_are(method: str) -> None:
    with bench() as found:
        plain, hybrid = (
            found.search("z", size=5, query=query, ext={"rerank": {"fusion": {"method": method}}})
            for query in ({"match": {"text": TEXT}}, HYBRID)
        )
    assert ids(plain) == ids(hybrid)


def test_an_explanation_names_what_was_fused() -> None:
    with bench() as found:
        answer = read(found.search("z", size=5, ext={"rerank": {"explain": True}}))
    scored = {hit["_id"]: hit["_rerank"] for hit in answer["hits"]["hits"]}
    assert answer["ext"]["rerank"]["hybrid"] == "z_score"
    weight = answer["ext"]["rerank"]["weight"]
    for hit in HITS:
        of_hit = scored[hit["_id"]]
        scaled = Z_SCORES[0] * math.exp(SCALES["z_score"] * hit["_score"] / Z_SCORES[0])
        assert of_hit["scaled_score"] == pytest.approx(scaled, rel=1e-5)
        assert of_hit["fused"] == pytest.approx(
            scaled * math.exp(weight * (1 + of_hit["crossing"])), rel=1e-4
        )


def test_a_later_page_needs_a_depth() -> None:
    deep = {"hybrid": {**HYBRID["hybrid"], "pagination_depth": 5}}
    with bench() as found:
        assert status(found.search("z", **{"from": 2})) == "skipped; reason=pagination_depth"
        whole = ids(found.search("z", size=5, query=deep))
        pages = [ids(found.search("z", size=2, query=deep, **{"from": start})) for start in (0, 2, 4)]
    assert [each for page in pages for each in page] == whole == expected_order("z_score")
