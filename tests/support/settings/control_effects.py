"""What each key of `ext.rerank` does to one search, and each option of the server to all of them."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from reranker.features import FEATURES
from tests.support.http.raw_http import ids, search
from tests.support.settings.effect_bench import Bench, best_first
from tests.support.settings.setting_effects import combining, least_above, slow_encoder
from tests.support.waiting import until

Effect = Callable[[Bench], None]
CONTROLS: dict[str, Effect] = {}


def effect_of(name: str) -> Callable[[Effect], Effect]:
    """Register a function as what a key of `ext.rerank` does."""

    def registered(effect: Effect) -> Effect:
        CONTROLS[name] = effect
        return effect

    return registered


@effect_of("enabled")
def a_request_may_switch_reranking_on_and_off(bench: Bench) -> None:
    assert bench.status(bench.plain, {"enabled": False}) == "skipped; reason=disabled"
    assert bench.status(bench.index(enabled=False), {"enabled": True}).startswith("applied")


@effect_of("window_size")
def a_request_has_its_own_window(bench: Bench) -> None:
    plain = [hit["_id"] for hit in bench.first_stage(bench.plain)]
    found = bench.order(bench.plain, {"window_size": 5})
    assert (sorted(found[:5]), found[5:]) == (sorted(plain[:5]), plain[5:])


@effect_of("execution")
def a_request_says_where_it_is_scored(bench: Bench) -> None:
    assert bench.status(bench.plain, {"execution": "cluster"}).endswith("execution=cluster")


@effect_of("score")
def a_request_says_which_scores_it_wants(bench: Bench) -> None:
    wanted = bench.expected(bench.plain).probability
    assert dict(bench.scored(bench.plain, {"score": "probability"})) == pytest.approx(wanted, rel=2e-4)


@effect_of("min_probability")
def a_request_has_its_own_least_probability(bench: Bench) -> None:
    probability = bench.expected(bench.plain).probability
    least = least_above(bench, 5)
    answer = bench.answer(bench.plain, {"min_probability": least, "explain": True})
    assert "; demoted=5; " in answer.rerank_status
    content = json.loads(answer.body)
    assert content["ext"]["rerank"]["adjustments"] == {"demoted": 5}
    told = {hit["_id"]: hit["_rerank"].get("demoted") for hit in content["hits"]["hits"]}
    assert told == {key: True if value < least else None for key, value in probability.items()}
    assert "demoted=0;" in bench.status(bench.index(min_probability=0.999), {"min_probability": 0})


@effect_of("on_low_probability")
def a_request_says_what_happens_to_unlikely_hits(bench: Bench) -> None:
    least = least_above(bench, 5)
    index = bench.index(min_probability=least)
    answer = bench.answer(index, {"on_low_probability": "cut"})
    assert "; cut=5; kept=25; " in answer.rerank_status
    assert json.loads(answer.body)["hits"]["total"] == {"value": 25, "relation": "eq"}


@effect_of("diversity")
def a_request_has_its_own_diversity(bench: Bench) -> None:
    usual = bench.order(bench.plain)
    answer = bench.answer(bench.plain, {"diversity": 1, "explain": True})
    hits = json.loads(answer.body)["hits"]["hits"]
    found = [hit["_id"] for hit in hits]
    assert found[0] == usual[0]
    assert sorted(found) == sorted(usual)
    assert found != usual
    assert [usual[hit["_rerank"]["rank_before_diversity"] - 1] for hit in hits] == found
    assert "moved" not in bench.status(bench.index(diversity=0.5), {"diversity": 0})


@effect_of("keep_exact")
def a_request_names_its_own_exact_fields(bench: Bench) -> None:
    usual = bench.order(bench.plain)
    sources = enumerate(bench.documents)
    documents = [each | {"code": 4711 if str(n) == usual[20] else n} for n, each in sources]
    index = bench.filled(bench.empty(), documents)
    text = {"query_context": {"query_text": "4711"}}
    answer = bench.answer(index, text | {"keep_exact": ["code"], "explain": True})
    assert "; exact=1; " in answer.rerank_status
    first, *others = json.loads(answer.body)["hits"]["hits"]
    assert (first["_id"], first["_rerank"]["exact"]) == (usual[20], True)
    assert not any("exact" in hit["_rerank"] for hit in others)
    assert "exact" not in bench.status(index, text)


@effect_of("rules")
def a_request_is_answered_without_rules(bench: Bench) -> None:
    light = {"weight": 1}  # so that a factor of 100 is more than all scores together
    usual = bench.order(bench.index(fusion=light))
    rule = {"then": {"hide": usual[:1], "bury": {"ids": [usual[1]], "factor": 100}}}
    index = bench.index(rules=[rule], fusion=light)
    assert bench.order(index, {"rules": False}) == usual
    assert "rules" not in bench.status(index, {"rules": False})
    explained = bench.answer(index, {"rules": True, "explain": True})
    first, *others, last = json.loads(explained.body)["hits"]["hits"]
    assert (first["_id"], last["_id"], len(others)) == (usual[2], usual[1], len(usual) - 3)
    assert first["_rerank"]["rules"] == [{"rule": 0, "kind": "bury", "factor": 100.0}]
    assert last["_rerank"]["rules"] == [{"rule": 0, "kind": "bury", "factor": 1.0}]


@effect_of("deadline_ms")
def a_request_waits_as_long_as_it_says(bench: Bench) -> None:
    """The encoder is slow: the deadline of the request counts, longer or shorter than the index's own."""
    hurried = bench.index(deadline_ms=20)
    with slow_encoder(bench) as status:
        assert status(hurried, "at once") == "skipped; reason=deadline"
        assert status(hurried, "patiently", {"deadline_ms": 10_000}).startswith("applied")
        assert status(bench.plain, "too soon", {"deadline_ms": 20}) == "skipped; reason=deadline"


@effect_of("fusion.method")
def a_request_has_its_own_method(bench: Bench) -> None:
    found = bench.order(bench.plain, {"fusion": {"method": "none"}})
    assert found == best_first(bench.expected(bench.plain).crossing)
    assert found != bench.order(bench.plain)


@effect_of("fusion.weight")
def a_request_has_its_own_weight(bench: Bench) -> None:
    plain = [hit["_id"] for hit in bench.first_stage(bench.plain)]
    assert bench.order(bench.plain, {"fusion": {"weight": 0}}) == plain != bench.order(bench.plain)


@effect_of("fusion.rank_constant")
def a_request_has_its_own_constant(bench: Bench) -> None:
    controls = {"fusion": {"method": "rrf", "rank_constant": 2}, "score": "fused"}
    wanted = bench.expected(bench.plain).fused("rrf", constant=2)
    assert dict(bench.scored(bench.plain, controls)) == pytest.approx(wanted, rel=1e-5)


@effect_of("fusion.feedback")
def a_request_has_its_own_feedback(bench: Bench) -> None:
    controls = {"fusion": {"feedback": 1}, "score": "fused", "explain": True}
    wanted = bench.expected(bench.plain).with_feedback(1)
    answer = bench.answer(bench.plain, controls)
    found = {hit["_id"]: hit for hit in json.loads(answer.body)["hits"]["hits"]}
    assert {name: hit["_score"] for name, hit in found.items()} == pytest.approx(wanted, rel=5e-4)
    assert all(-1 <= hit["_rerank"]["similarity"] <= 1.001 for hit in found.values())
    explained = json.loads(bench.answer(bench.plain, controls, explain=True).body)["hits"]["hits"][0]
    how = explained["_explanation"]
    assert how["description"].endswith("(1 + crossing + 1 * (1 + similarity))), of:"), how
    assert [part["description"] for part in how["details"]][1] == "similarity to the best hits"
    without = json.loads(bench.answer(bench.plain, {"explain": True}).body)["hits"]["hits"]
    assert not any("similarity" in hit["_rerank"] for hit in without)


@effect_of("fusion.smoothing")
def a_request_has_its_own_smoothing(bench: Bench) -> None:
    controls = {"fusion": {"smoothing": 0.7}, "score": "fused", "explain": True}
    expected = bench.expected(bench.plain)
    wanted = expected.smoothed(expected.fused("log_linear"), 0.7)
    answer = json.loads(bench.answer(bench.plain, controls, explain=True).body)["hits"]["hits"]
    assert {hit["_id"]: hit["_score"] for hit in answer} == pytest.approx(wanted, rel=5e-4)
    for hit in answer:
        own = expected.fused("log_linear")[hit["_id"]]
        assert own**0.3 * hit["_rerank"]["neighbours"] ** 0.7 == pytest.approx(hit["_score"], rel=5e-4)
        how = hit["_explanation"]
        assert how["description"].endswith(", to the power of 0.3, * neighbours, to that of 0.7, of:"), how
        assert how["details"][1]["value"] == pytest.approx(hit["_rerank"]["neighbours"])
    without = json.loads(bench.answer(bench.plain, {"explain": True}).body)["hits"]["hits"]
    assert not any("neighbours" in hit["_rerank"] for hit in without)


@effect_of("fusion.signals")
def a_request_has_its_own_signals(bench: Bench) -> None:
    documents = [each | {"sales": n} for n, each in enumerate(bench.documents)]
    signal = {"field": "sales", "kind": "log1p", "weight": -5, "scale": 30}
    index = bench.filled(bench.empty(fusion={"signals": [signal | {"weight": 5}]}, score="fused"), documents)
    fused = bench.expected(index).fused("log_linear")
    factors = {key: math.exp(5 * (1 - math.log1p(int(key)) / math.log(31))) for key in fused}
    controls = {"fusion": {"signals": [signal]}, "explain": True}
    answer = json.loads(bench.answer(index, controls, explain=True).body)["hits"]["hits"]
    for hit in answer:
        key, (told,) = hit["_id"], hit["_rerank"]["signals"]
        assert hit["_score"] == pytest.approx(fused[key] * factors[key], rel=2e-4)
        assert (told["field"], told["kind"], told["value"]) == ("sales", "log1p", int(key))
        assert told["factor"] == pytest.approx(factors[key])
        how = hit["_explanation"]
        assert how["description"].endswith("; then times the signals' factors, of:"), how
        assert how["details"][1]["description"] == "factor of the signal log1p of sales"
        assert "fields" not in hit, "the doc value was not asked for"
    none = bench.answer(index, {"fusion": {"signals": []}})
    assert "signals" not in none.rerank_status
    assert dict(bench.scored(index, {"fusion": {"signals": []}})) == pytest.approx(fused, rel=2e-4)


@effect_of("fusion.combiner")
def a_request_names_its_own_combiner(bench: Bench) -> None:
    first = [hit["_id"] for hit in bench.first_stage(bench.plain)]
    with combining(bench) as answer:
        found = answer(bench.plain, {"fusion": {"method": "combiner", "combiner": "last"}})
        assert found.json is not None
        assert [hit["_id"] for hit in found.json["hits"]["hits"]] == first[::-1]
        refused = answer(bench.plain, {"fusion": {"method": "combiner"}})
        assert refused.status_code == 400
        assert "ext.rerank.fusion.combiner: expected the name of a combiner" in refused.text


SOLD = {"field": "sold", "kind": "saturation", "pivot": 1, "weight": 2}


@effect_of("features")
def a_search_may_ask_for_what_a_combiner_sees(bench: Bench) -> None:
    index = bench.index(fusion={"signals": [SOLD]}, keep_exact=["sold"])
    told = json.loads(bench.answer(index, {"features": True}).body)["hits"]["hits"]
    expected = bench.expected(index)
    fused = {name: math.log(value) for name, value in expected.fused("log_linear").items()}
    for hit in told:
        features, name = hit["_rerank"]["features"], hit["_id"]
        assert list(features) == [*FEATURES, "signal.sold"]
        assert features["first_stage"] == hit["_rerank"]["first_stage_score"] == expected.first[name]
        assert features["first_stage_log"] == pytest.approx(math.log(expected.first[name]))
        assert features["first_stage_rank"] == hit["_rerank"]["first_stage_rank"]
        assert features["crossing"] == pytest.approx(expected.crossing[name], abs=1e-5)
        assert features["fused"] == pytest.approx(fused[name] - max(fused.values()), abs=1e-3)
        assert (features["window"], features["has_vector"]) == (len(told), 1)
        assert features["query_words"] == len(bench.toy.query_text.split())
        assert features["signal.sold"] == 0.5, "no document has the field"
    explained = json.loads(bench.answer(index, {"explain": True}).body)["hits"]["hits"]
    assert not any("features" in hit["_rerank"] for hit in explained)


@effect_of("query_context.query_text")
def a_text_may_be_given_for_a_query_that_has_none(bench: Bench) -> None:
    everything: dict[str, dict[str, str]] = {"match_all": {}}
    given = {"query_context": {"query_text": bench.toy.query_text}}
    assert bench.status(bench.plain, query=everything) == "skipped; reason=query_text"
    found = bench.order(bench.plain, given, query=everything)
    assert found == best_first(bench.expected(bench.plain).crossing)


@effect_of("query_context.query_text_path")
def a_text_may_be_pointed_to(bench: Bench) -> None:
    filtered = {"bool": {"filter": [{"match": {"text": bench.toy.query_text}}]}}
    pointed = {"query_context": {"query_text_path": "query.bool.filter.0.match.text"}}
    assert bench.status(bench.plain, query=filtered) == "skipped; reason=query_text"
    found = bench.order(bench.plain, pointed, query=filtered)
    assert found == best_first(bench.expected(bench.plain).crossing)


@effect_of("explain")
def an_explained_search_tells_each_hits_numbers(bench: Bench) -> None:
    quiet, told = (json.loads(bench.answer(bench.plain, {"explain": each}).body) for each in (False, True))
    assert "ext" not in quiet
    assert told["ext"]["rerank"]["query_text"] == bench.toy.query_text
    assert {"crossing", "fused"} <= told["hits"]["hits"][0]["_rerank"].keys()


@dataclass(frozen=True)
class Server:
    """A running `twinrank serve` with every option that docs/reference/settings.md names."""

    proxy_url: str
    folder: Path
    callers: list[str | None]


def below_the_mapping_the_servers_defaults_hold(bench: Bench, server: Server) -> None:
    query = {"query": bench.toy.query}
    assert "window=6;" in search(server.proxy_url, bench.plain, query).rerank_status
    assert "window=9;" in search(server.proxy_url, bench.index(window_size=9), query).rerank_status


def settings_are_polled_as_the_account_in_the_url(bench: Bench, server: Server) -> None:
    until(lambda: "Basic d2F0Y2hlcjpzZWNyZXQ=" in server.callers, "polled as watcher:secret")


def the_shared_file_lies_below_the_folder_for_temporary_files(bench: Bench, server: Server) -> None:
    until(lambda: any(server.folder.glob("twinrank-*/*/settings.json")), "the poller's file")


def a_combiner_has_its_files_name(bench: Bench, server: Server) -> None:
    """The one of the server prefers what OpenSearch has last; its window is 6, as its defaults say."""
    body = {"query": bench.toy.query, "size": 6}
    for index in (bench.index(fusion={"method": "combiner", "combiner": "shop"}), bench.plain):
        found = search(server.proxy_url, index, body)
        assert found.rerank_status.startswith("applied")
        is_reversed = ids(found) == [hit["_id"] for hit in bench.first_stage(index)[5::-1]]
        assert is_reversed is (index != bench.plain)


SERVER: dict[str, Callable[[Bench, Server], None]] = {
    "--combiner-file": a_combiner_has_its_files_name,
    "--settings": below_the_mapping_the_servers_defaults_hold,
    "TWINRANK_UPSTREAM": settings_are_polled_as_the_account_in_the_url,
    "TMPDIR": the_shared_file_lies_below_the_folder_for_temporary_files,
}
"""Option or variable, as docs/reference/settings.md names it -> what it does."""
