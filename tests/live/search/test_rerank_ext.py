"""`ext.rerank`: what a request says about its own reranking, on a real OpenSearch and alone."""

import json
from typing import Any

import msgspec
import pytest
from opensearchpy import OpenSearch

from opensearch.rawjson.validation import InvalidError
from opensearch.search.ext import take_controls
from opensearch.settings.fusion import FusionSettings
from opensearch.settings.table import RerankSettings
from tests.support.http.raw_http import ids, search
from tests.support.indices.toy_index import ToyIndex

pytestmark = pytest.mark.opensearch_2_19

SETTINGS = RerankSettings(model="tiny", source_fields=("text",), fusion=FusionSettings(weight=7.0))


def body_of(rerank: object, **others: object) -> dict[str, msgspec.Raw]:
    ext = {"rerank": rerank, **others}
    return {"ext": msgspec.Raw(json.dumps(ext).encode()), "query": msgspec.Raw(b'{"a":[{"b.c":"text"}]}')}


WRONG: list[tuple[Any, str, str, str]] = [
    ({"window": 5}, "ext.rerank.window", "one of enabled, window_size,", "(did you mean `window_size`?)"),
    ({"fusion": {"wight": 5}}, "ext.rerank.fusion.wight", "one of method, weight, rank_constant", "`weight`"),
    ({"query_context": {"text": "a"}}, "ext.rerank.query_context.text", "query_text_path", "unknown"),
    ({"window_size": 0}, "ext.rerank.window_size", ">= 1", "found 0"),
    ({"window_size": 10_001}, "ext.rerank.window_size", "<= 10000", "found 10001"),
    ({"window_size": "5"}, "ext.rerank.window_size", "a whole number", 'found "5"'),
    ({"window_size": 1.5}, "ext.rerank.window_size", "a whole number", "found 1.5"),
    ({"deadline_ms": 0}, "ext.rerank.deadline_ms", ">= 1", "found 0"),
    ({"deadline_ms": 10_001}, "ext.rerank.deadline_ms", "<= 10000", "found 10001"),
    ({"deadline_ms": "1s"}, "ext.rerank.deadline_ms", "a whole number", 'found "1s"'),
    ({"enabled": "yes"}, "ext.rerank.enabled", "true or false", 'found "yes"'),
    ({"explain": 1}, "ext.rerank.explain", "true or false", "found 1"),
    ({"execution": "gpu"}, "ext.rerank.execution", "one of sidecar, cluster", 'found "gpu"'),
    ({"score": "best"}, "ext.rerank.score", "one of first_stage, fused, probability", 'found "best"'),
    ({"fusion": {"method": "sum"}}, "ext.rerank.fusion.method", "one of log_linear, weighted", "sum"),
    ({"fusion": {"weight": 41}}, "ext.rerank.fusion.weight", "<= 40", "found 41"),
    ({"fusion": {"weight": -1}}, "ext.rerank.fusion.weight", ">= 0", "found -1"),
    ({"fusion": {"method": "weighted", "weight": 2}}, "ext.rerank.fusion.weight", "share of 0", "found 2"),
    ({"fusion": {"rank_constant": 0}}, "ext.rerank.fusion.rank_constant", ">= 1", "found 0"),
    ({"fusion": "rrf"}, "ext.rerank.fusion", "a JSON object", 'found "rrf"'),
    ({"query_context": {"query_text": 5}}, "ext.rerank.query_context.query_text", "a text", "found 5"),
    ({"query_context": {"query_text": "a", "query_text_path": "b"}}, "ext.rerank.query_context",
     "query_text or query_text_path", "both"),
    ({"query_context": {"query_text_path": "query.no"}}, "ext.rerank.query_context.query_text_path",
     "a string at 'query.no'", "nothing"),
    ({"query_context": {"query_text_path": "query"}}, "ext.rerank.query_context.query_text_path",
     "a string at 'query'", '{"match"'),
    (None, "ext.rerank", "a JSON object", "found null"),
    ([], "ext.rerank", "a JSON object", "found []"),
]  # fmt: skip


@pytest.mark.live
@pytest.mark.parametrize(("rerank", "place", "expected", "found"), WRONG, ids=str)
def test_a_bad_value_is_a_400_that_names_key_expectation_and_finding(
    proxy_url: str, toy_index: ToyIndex, rerank: object, place: str, expected: str, found: str
) -> None:
    answer = search(proxy_url, toy_index.name, {"query": toy_index.query, "ext": {"rerank": rerank}})
    error = json.loads(answer.body)
    assert (answer.status, answer.rerank_status, error["status"]) == (400, "refused; reason=ext", 400)
    cause = error["error"]["root_cause"][0]
    assert cause["type"] == error["error"]["type"] == "illegal_argument_exception"
    reason = error["error"]["reason"]
    assert reason.startswith(f"{place}: expected ")
    assert expected in reason
    assert found in reason


@pytest.mark.live
@pytest.mark.parametrize("rerank", [{"window": 5}, {"query_context": {"query_text": "a"}}])
def test_without_settings_it_is_forwarded_untouched(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index_name: str, rerank: object
) -> None:
    client.index(index=index_name, body={"text": "wait a bit"}, refresh=True)
    body = {"query": {"match": {"text": "wait"}}, "ext": {"rerank": rerank}}
    straight, through = (search(url, index_name, body) for url in (opensearch_url, proxy_url))
    assert through.rerank_status == "skipped; reason=not_enabled"
    assert (through.status, through.body) == (straight.status, straight.body)
    assert straight.status == 400, "OpenSearch without the plugin knows no ext.rerank"


@pytest.mark.live
@pytest.mark.parametrize(("extra", "reason"), [
    ({"sort": "n"}, "sort"), ({"from": 100}, "beyond_window"), ({"query": {"match_all": {}}}, "query_text"),
])  # fmt: skip
def test_what_is_passed_through_goes_without_it(
    proxy_url: str, toy_index: ToyIndex, extra: dict[str, Any], reason: str
) -> None:
    body = {"query": toy_index.query, **extra}
    straight = search(toy_index.url, toy_index.name, body)
    through = search(proxy_url, toy_index.name, {**body, "ext": {"rerank": {"window_size": 50}}})
    assert (through.status, through.rerank_status) == (200, f"skipped; reason={reason}")
    assert ids(through) == ids(straight)


@pytest.mark.live
def test_a_request_turns_reranking_off_and_on(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex
) -> None:
    body = {"query": toy_index.query, "ext": {"rerank": {"enabled": False}}}
    assert search(proxy_url, toy_index.name, body).rerank_status == "skipped; reason=disabled"


@pytest.mark.live
def test_the_window_and_the_text_are_the_requests(proxy_url: str, toy_index: ToyIndex) -> None:
    context = {"query_text_path": "query.bool.filter.0.match.text"}
    rerank = {"window_size": 20, "query_context": context}
    body = {"query": {"bool": {"must": [toy_index.query], "filter": [toy_index.query]}}, "size": 20}
    answer = search(proxy_url, toy_index.name, {**body, "ext": {"rerank": rerank}})
    assert answer.rerank_status.startswith("applied; window=20; scored=20")
    assert ids(answer) == toy_index.expected_order(20)


def test_what_is_left_out_is_as_the_index_has_it() -> None:
    controls, _ = take_controls(body_of({}))
    assert controls.apply_to(SETTINGS) == SETTINGS


def test_another_method_does_not_take_the_weight_of_the_indexs_own() -> None:
    controls, _ = take_controls(body_of({"fusion": {"method": "weighted"}}))
    assert controls.apply_to(SETTINGS).fusion == FusionSettings(method="weighted")
    same, _ = take_controls(body_of({"fusion": {"method": "log_linear"}}))
    assert same.apply_to(SETTINGS).fusion.weight == 7.0


def test_a_share_over_the_indexs_own_method_is_checked_together() -> None:
    weighted = RerankSettings(
        model="tiny", source_fields=("text",), fusion=FusionSettings(method="weighted", weight=0.5)
    )
    controls, _ = take_controls(body_of({"fusion": {"weight": 3}}))
    with pytest.raises(InvalidError, match="a share of 0 to 1"):
        controls.apply_to(weighted)


def test_only_rerank_is_taken_out_of_ext() -> None:
    _, alone = take_controls(body_of({}))
    assert "ext" not in alone
    _, beside = take_controls(body_of({}, other={"x": 1.5}))
    assert bytes(beside["ext"]) == b'{"other":{"x": 1.5}}'


@pytest.mark.parametrize("ext", [b"5", b'{"other":1}'])
def test_an_ext_of_others_stays(ext: bytes) -> None:
    body = {"ext": msgspec.Raw(ext)}
    assert take_controls(body)[1] == body


def test_an_empty_ext_says_nothing() -> None:
    assert take_controls({"ext": msgspec.Raw(b" {} ")})[1] == {}


@pytest.mark.parametrize("path", ["query.a.0.b.c", "query.a.0"])
def test_a_path_may_count_and_names_may_hold_dots(path: str) -> None:
    controls, body = take_controls(body_of({"query_context": {"query_text_path": path}}))
    if path.endswith("c"):
        assert controls.query_text(body) == "text"
    else:
        with pytest.raises(InvalidError, match="expected a string at"):
            controls.query_text(body)
