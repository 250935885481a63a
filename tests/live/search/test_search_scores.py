"""Scores through the proxy on a real OpenSearch, against numbers that are computed here on their own."""

import json
import math
import re
from typing import Any

import numpy as np
import pytest

from tests.support.http.raw_http import RawAnswer, search
from tests.support.indices.toy_index import WINDOW, ToyIndex
from tests.support.searches.expected_scores import Expected

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
METHODS = ("log_linear", "weighted", "rrf", "none")


def asked(toy: ToyIndex, proxy_url: str, rerank: dict[str, Any], **body: Any) -> RawAnswer:  # noqa: ANN401
    whole = {"query": toy.query, "size": WINDOW, **body, "ext": {"rerank": rerank}}
    return search(proxy_url, toy.name, whole)


def hits(answer: RawAnswer) -> list[dict[str, Any]]:
    assert answer.rerank_status.startswith("applied"), (answer.rerank_status, answer.body[:500])
    found: list[dict[str, Any]] = json.loads(answer.body)["hits"]["hits"]
    return found


@pytest.fixture(scope="module")
def expected(toy_index: ToyIndex) -> Expected:
    return Expected(toy_index, toy_index.first_stage(WINDOW))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("score", ["first_stage", "fused", "probability"])
def test_every_fusion_with_every_score(
    proxy_url: str, toy_index: ToyIndex, expected: Expected, method: str, score: str
) -> None:
    answer = asked(toy_index, proxy_url, {"fusion": {"method": method}, "score": score})
    found, fused = hits(answer), expected.fused(method)
    values = [fused[hit["_id"]] for hit in found]
    assert values == pytest.approx(sorted(values, reverse=True), rel=2e-4)
    wanted = {
        "first_stage": [expected.first[name] for name in expected.ids],
        "fused": values,
        "probability": [expected.probability[hit["_id"]] for hit in found],
    }[score]
    assert [hit["_score"] for hit in found] == pytest.approx(wanted, rel=2e-4)
    assert json.loads(answer.body)["hits"]["max_score"] == pytest.approx(max(wanted), rel=2e-4)


@pytest.mark.parametrize(("fusion", "options"), [
    ({"method": "weighted", "weight": 0.3}, {"share": 0.3}),
    ({"method": "rrf", "rank_constant": 5}, {"constant": 5}),
])  # fmt: skip
def test_parameters_of_a_fusion(
    proxy_url: str, toy_index: ToyIndex, expected: Expected, fusion: dict[str, Any], options: dict[str, Any]
) -> None:
    found = hits(asked(toy_index, proxy_url, {"fusion": fusion, "score": "fused"}))
    fused = expected.fused(fusion["method"], **options)
    assert [hit["_score"] for hit in found] == pytest.approx([fused[hit["_id"]] for hit in found], rel=2e-4)


@pytest.mark.parametrize("weight", [0, 3.5, 40])
def test_the_weight_of_log_linear(proxy_url: str, toy_index: ToyIndex, weight: float) -> None:
    fused = Expected(toy_index, toy_index.first_stage(WINDOW), weight).fused("log_linear")
    found = hits(asked(toy_index, proxy_url, {"fusion": {"weight": weight}, "score": "fused"}))
    assert [hit["_score"] for hit in found] == pytest.approx(
        sorted(fused.values(), reverse=True), rel=1e-6 * (10 + 20 * weight)
    )


CONSTANT = {"constant_score": {"filter": {"match_all": {}}, "boost": 1.5}}
SCORELESS: dict[str, Any] = {"bool": {"filter": [{"match_all": {}}]}}


@pytest.mark.parametrize("query", [CONSTANT, SCORELESS], ids=["equal", "zero"])
@pytest.mark.parametrize("method", METHODS)
def test_first_stage_scores_that_say_nothing(
    proxy_url: str, toy_index: ToyIndex, query: dict[str, Any], method: str
) -> None:
    """All equal, or all 0: the crossing decides, and scores are numbers that clients can read."""
    straight = search(toy_index.url, toy_index.name, {"query": query, "size": WINDOW})
    expected = Expected(toy_index, json.loads(straight.body)["hits"]["hits"])
    context = {"query_text": toy_index.query_text}
    controls = {"query_context": context, "fusion": {"method": method}, "score": "fused"}
    found = hits(asked(toy_index, proxy_url, controls, query=query))
    fused = expected.fused(method)
    assert [hit["_score"] for hit in found] == pytest.approx(
        sorted(fused.values(), reverse=True), rel=1e-4, abs=1e-6
    )


def test_equal_scores_stay_in_first_stage_order(proxy_url: str, toy_index: ToyIndex) -> None:
    """Nothing tells them apart: weight 0 over equal scores is the first stage's own order."""
    straight = search(toy_index.url, toy_index.name, {"query": CONSTANT, "size": WINDOW})
    controls = {"query_context": {"query_text": toy_index.query_text}, "fusion": {"weight": 0}}
    found = hits(asked(toy_index, proxy_url, controls, query=CONSTANT))
    assert [hit["_id"] for hit in found] == [hit["_id"] for hit in json.loads(straight.body)["hits"]["hits"]]


def test_negative_scores_of_a_rescore_cannot_be_fused(proxy_url: str, toy_index: ToyIndex) -> None:
    rescore = {
        "window_size": 50,
        "query": {"rescore_query": CONSTANT, "query_weight": 0.1, "rescore_query_weight": -5},
    }
    straight = search(
        toy_index.url, toy_index.name, {"query": toy_index.query, "size": 9, "rescore": rescore}
    )
    answer = asked(toy_index, proxy_url, {}, rescore=rescore, size=9)
    assert answer.rerank_status == "skipped; reason=scores"
    own, through = (json.loads(each.body)["hits"] for each in (straight, answer))
    assert [(hit["_id"], hit["_score"]) for hit in through["hits"]] == [
        (hit["_id"], hit["_score"]) for hit in own["hits"]
    ]
    assert asked(
        toy_index, proxy_url, {"fusion": {"method": "weighted"}}, rescore=rescore
    ).rerank_status.startswith("applied")


@pytest.mark.parametrize("score", ["first_stage", "fused"])
def test_min_score_holds_for_the_first_stage(proxy_url: str, toy_index: ToyIndex, score: str) -> None:
    first = toy_index.first_stage(WINDOW)
    bound = first[20]["_score"]
    wanted = {hit["_id"] for hit in first if hit["_score"] >= bound}
    assert {
        hit["_id"] for hit in hits(asked(toy_index, proxy_url, {"score": score}, min_score=bound))
    } == wanted


@pytest.mark.parametrize("parameter", ["explain=true", ""])
def test_explain_nests_opensearchs_own_explanation(
    proxy_url: str, toy_index: ToyIndex, expected: Expected, parameter: str
) -> None:
    body = {"query": toy_index.query, "size": 20} | ({} if parameter else {"explain": True})
    url = f"?{parameter}"
    straight = search(toy_index.url, toy_index.name, {**body, "size": WINDOW}, url)
    own = {hit["_id"]: hit["_explanation"] for hit in json.loads(straight.body)["hits"]["hits"]}
    fused = expected.fused("log_linear")
    for hit in hits(search(proxy_url, toy_index.name, body, url)):
        told = hit["_explanation"]
        assert told["value"] == pytest.approx(fused[hit["_id"]], rel=2e-4)
        assert told["description"].startswith("log_linear: first-stage score * exp(10 * (1 + crossing))")
        crossing, first_stage = told["details"]
        assert crossing["value"] == pytest.approx(expected.crossing[hit["_id"]], abs=1e-5)
        assert first_stage == own[hit["_id"]]


def test_ext_rerank_explain_tells_each_hit_and_the_whole(
    proxy_url: str, toy_index: ToyIndex, expected: Expected
) -> None:
    answer = asked(toy_index, proxy_url, {"explain": True}, size=15, **{"from": 5})
    fused = expected.fused("log_linear")
    for rank, hit in enumerate(hits(answer), 6):
        name, told = hit["_id"], hit["_rerank"]
        assert told == {
            "rank": rank,
            "first_stage_rank": expected.ids.index(name) + 1,
            "first_stage_score": pytest.approx(expected.first[name], rel=1e-6),
            "crossing": pytest.approx(expected.crossing[name], abs=1e-5),
            "fused": pytest.approx(fused[name], rel=2e-4),
            "probability": pytest.approx(expected.probability[name], rel=2e-4),
        }
    assert json.loads(answer.body)["ext"]["rerank"] == {
        "query_text": toy_index.query_text, "model": toy_index.bundle.name,
        "bundle": f"{toy_index.bundle.name}@1", "window_size": WINDOW, "scored": WINDOW,
        "fusion": "log_linear", "weight": expected.weight,
        "feedback": 0.0, "smoothing": 0.0,
    }  # fmt: skip


def test_explain_beyond_the_window_is_opensearchs_own(proxy_url: str, toy_index: ToyIndex) -> None:
    body = {"query": toy_index.query, "from": 8, "size": 4, "explain": True}
    own = json.loads(search(toy_index.url, toy_index.name, body).body)["hits"]["hits"][2:]
    controls = {"window_size": 10, "explain": True}
    through = hits(search(proxy_url, toy_index.name, {**body, "ext": {"rerank": controls}}))[2:]
    assert [(hit["_id"], hit["_explanation"], "_rerank" in hit) for hit in through] == [
        (hit["_id"], hit["_explanation"], False) for hit in own
    ]


@pytest.mark.parametrize("parameters", ["", "?pretty"])
def test_no_key_is_added_unless_it_is_asked_for(proxy_url: str, toy_index: ToyIndex, parameters: str) -> None:
    """And with `pretty` what is added stands as OpenSearch would have spaced it."""
    plain = json.loads(search(proxy_url, toy_index.name, {"query": toy_index.query}, parameters).body)
    assert "ext" not in plain
    assert all("_rerank" not in hit for hit in plain["hits"]["hits"])
    told = search(
        proxy_url,
        toy_index.name,
        {"query": toy_index.query, "_source": False, "explain": True, "ext": {"rerank": {"explain": True}}},
        parameters,
    ).body.decode()
    if parameters:
        spaced = json.dumps(json.loads(told), indent=2, separators=(",", " : ")).replace("[]", "[ ]") + "\n"
        number = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
        assert number.sub("1", told) == number.sub("1", spaced)


def test_a_hit_without_a_vector_has_the_neutral_crossing(proxy_url: str, toy_index: ToyIndex) -> None:
    client = toy_index.client
    client.index(index=toy_index.name, id="bare", body={"text": toy_index.query_text}, refresh=True)
    try:
        answer = asked(toy_index, proxy_url, {"explain": True, "score": "fused"}, explain=True)
        smoothed = asked(toy_index, proxy_url, {"fusion": {"smoothing": 0.5}, "score": "fused"}, explain=True)
    finally:
        client.delete(index=toy_index.name, id="bare", refresh=True)
    found = {hit["_id"]: hit for hit in hits(answer)}
    neutral = float(np.median([hit["_rerank"]["crossing"] for hit in found.values() if hit["_id"] != "bare"]))
    bare, weight = found["bare"], toy_index.bundle.manifest.fusion.weight
    assert bare["_rerank"]["crossing"] is None
    fused = bare["_rerank"]["first_stage_score"] * math.exp(weight * (1 + neutral))
    assert bare["_score"] == pytest.approx(fused, rel=2e-4)
    assert bare["_explanation"]["details"][0]["description"] == "neutral crossing: no vector"
    explained = {hit["_id"]: hit["_explanation"]["description"] for hit in hits(smoothed)}
    alone = {name for name, told in explained.items() if "neighbours" not in told}
    assert alone == {"bare"}, "it has no neighbours, and is not said to"
    assert json.loads(answer.body)["ext"]["rerank"]["scored"] == WINDOW - 1
