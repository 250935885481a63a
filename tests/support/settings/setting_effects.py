"""What each setting does, tried on real indices: one function a setting, found by the setting's name."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from werkzeug.test import Client, TestResponse

from opensearch.fields.stored_vectors import decode
from plugin.encoding.foreign_queries import ForeignQueries
from plugin.encoding.model import Model
from plugin.encoding.query_encoder import CachedQueryEncoder
from plugin.proxy import Proxy
from plugin.settings.cache import SettingsCache
from plugin.upstream.client import Upstream
from reranker.arrays import Floats
from reranker.combiner import LinearCombiner
from reranker.languages import ReadableScripts
from reranker.stored_vector import unpack
from reranker.text import text_hash
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import CHUNKING, known_words
from tests.support.settings.effect_bench import JSON_BODY, NUM_DOCUMENTS, Bench, best_first
from tests.support.sync_run import synced
from tests.support.waiting import until

Effect = Callable[[Bench], None]
SETTINGS: dict[str, Effect] = {}
LATE_S = 0.3
"""How long the slow encoder of the deadline takes: far beyond one deadline, far within the other."""


def effect_of(name: str) -> Callable[[Effect], Effect]:
    """Register a function as what a setting does."""

    def registered(effect: Effect) -> Effect:
        SETTINGS[name] = effect
        return effect

    return registered


@effect_of("model")
def another_bundles_index_is_not_reranked(bench: Bench) -> None:
    assert bench.status(bench.plain).startswith("applied")
    assert bench.status(bench.index(model="another")) == "skipped; reason=model"


@effect_of("source_fields")
def the_text_is_that_of_the_source_fields(bench: Bench) -> None:
    document = {"title": "read a file", "text": "line by line"}
    for fields, text in ((["title"], "read a file"), (["text", "title"], "line by line\nread a file")):
        stored = bench.written(bench.empty(source_fields=fields), document)
        assert stored.text_hash == text_hash(text, CHUNKING)


@effect_of("vectors")
def vectors_of_the_indexs_own_are_read_and_stay(bench: Bench) -> None:
    """A `float` field serves in place of a `knn_vector`, whose plugin is not there: hits hold the same."""
    numbers = [unpack(decode(each["rerank"]["vector"]) or b"").values[0].tolist() for each in bench.documents]
    own = [{"text": each["text"], "v": vector} for each, vector in zip(bench.documents, numbers, strict=True)]
    index = bench.filled(bench.empty(field="v", vectors="source", score="fused"), own)
    assert dict(bench.scored(index)) == pytest.approx(
        bench.expected(bench.plain).fused("log_linear"), rel=3e-2
    )
    [hit, *_] = json.loads(bench.answer(index).body)["hits"]["hits"]
    assert (sorted(hit["_source"]), "fields" in hit) == (["text", "v"], False)
    [bare, *_] = json.loads(bench.answer(index, _source=False).body)["hits"]["hits"]
    assert bare.keys() == {"_index", "_id", "_score"}


@effect_of("enabled")
def a_disabled_index_is_not_reranked(bench: Bench) -> None:
    assert bench.status(bench.index(enabled=False)) == "skipped; reason=disabled"


@effect_of("field")
def vectors_are_written_to_and_read_from_the_field(bench: Bench) -> None:
    index = bench.empty("own.place", field="own.place")
    bench.written(index, {"text": bench.toy.query_text}, at="own.place")
    answer = bench.answer(index)
    assert "scored=1" in answer.rerank_status
    assert json.loads(answer.body)["hits"]["hits"][0]["_source"] == {"text": bench.toy.query_text}


@effect_of("window_size")
def hits_beyond_the_window_stay(bench: Bench) -> None:
    index = bench.index(window_size=5)
    assert "window=5;" in bench.status(index)
    plain = [hit["_id"] for hit in bench.first_stage(index)]
    found, whole = bench.order(index), bench.order(bench.plain)
    assert (sorted(found[:5]), found[5:]) == (sorted(plain[:5]), plain[5:])
    assert found != plain
    assert whole[5:] != plain[5:]


@effect_of("min_coverage")
def below_the_coverage_nothing_is_reranked(bench: Bench) -> None:
    half = bench.documents[:10] + [{"text": each["text"]} for each in bench.documents[10:20]]
    low, high = (bench.filled(bench.empty(min_coverage=each), half) for each in (0.4, 0.6))
    until(lambda: bench.status(low).startswith("applied"), "covered enough")
    assert bench.status(high) == "skipped; reason=coverage"
    time.sleep(0.3)  # for the count that this search has asked for
    assert bench.status(high) == "skipped; reason=coverage"


@effect_of("execution")
def opensearch_itself_scores(bench: Bench) -> None:
    index = bench.index(execution="cluster")
    assert bench.status(index).endswith("execution=cluster")
    assert bench.status(bench.plain).endswith("execution=sidecar")
    fused = bench.expected(index).fused("log_linear")
    assert dict(bench.scored(index)) == pytest.approx(fused, rel=2e-4)


@effect_of("fusion.method")
def each_method_has_its_own_order(bench: Bench) -> None:
    orders = []
    for method in ("log_linear", "weighted", "rrf", "none"):
        index = bench.index(fusion={"method": method}, score="fused")
        wanted = bench.expected(index).fused(method)
        found = bench.scored(index)
        assert dict(found) == pytest.approx(wanted, rel=2e-4), method
        orders.append([id_ for id_, _ in found])
    assert len({tuple(order) for order in orders}) > 2


@effect_of("fusion.weight")
def the_heavier_the_more_the_crossing_counts(bench: Bench) -> None:
    light, heavy = (bench.index(fusion={"weight": weight}) for weight in (0, 40))
    assert bench.order(light) == [hit["_id"] for hit in bench.first_stage(light)]
    assert bench.order(heavy) == best_first(bench.expected(heavy, 40).fused("log_linear"))
    assert bench.order(heavy) != bench.order(bench.plain) != bench.order(light)


@effect_of("fusion.rank_constant")
def the_constant_of_rrf_is_used(bench: Bench) -> None:
    for constant in (1, 1000):
        index = bench.index(fusion={"method": "rrf", "rank_constant": constant}, score="fused")
        wanted = bench.expected(index).fused("rrf", constant=constant)
        assert dict(bench.scored(index)) == pytest.approx(wanted, rel=1e-5)


@effect_of("fusion.feedback")
def the_best_hits_vote(bench: Bench) -> None:
    index = bench.index(fusion={"feedback": 0.5}, score="fused")
    assert dict(bench.scored(index)) == pytest.approx(bench.expected(index).with_feedback(0.5), rel=5e-4)
    assert bench.order(index) != bench.order(bench.plain)
    alone = bench.index(fusion={"method": "none", "feedback": 2})
    assert bench.order(alone) == best_first(bench.expected(alone).crossing)
    there = bench.status(bench.index(fusion={"feedback": 0.5}, execution="cluster"))
    assert "execution=sidecar" in there


@effect_of("fusion.smoothing")
def the_nearest_hits_have_a_share(bench: Bench) -> None:
    index = bench.index(fusion={"smoothing": 0.6, "feedback": 0.5}, score="fused")
    expected = bench.expected(index)
    wanted = expected.smoothed(expected.with_feedback(0.5), 0.6)
    assert dict(bench.scored(index)) == pytest.approx(wanted, rel=1e-3)
    assert bench.order(index) != bench.order(bench.plain)
    alone = bench.index(fusion={"method": "none", "smoothing": 1})
    assert bench.order(alone) == best_first(bench.expected(alone).crossing)
    there = bench.status(bench.index(fusion={"smoothing": 0.5}, execution="cluster"))
    assert "execution=sidecar" in there


@effect_of("fusion.signals")
def a_field_raises_and_lowers_hits(bench: Bench) -> None:
    signal = {"field": "sales", "kind": "saturation", "weight": 6, "pivot": 20}
    documents = [each | ({"sales": n} if n % 4 else {}) for n, each in enumerate(bench.documents)]
    for execution in ("sidecar", "cluster"):
        name = bench.empty(fusion={"signals": [signal]}, score="fused", execution=execution)
        index = bench.filled(name, documents)
        fused = bench.expected(index).fused("log_linear")
        wanted = {
            key: value * math.exp(6 * (int(key) / (int(key) + 20) if int(key) % 4 else 0.5))
            for key, value in fused.items()
        }
        assert dict(bench.scored(index)) == pytest.approx(wanted, rel=2e-4)
        assert "; signals=1; " in bench.status(index)
    assert bench.order(index) != bench.order(bench.plain)
    alone = bench.filled(bench.empty(fusion={"method": "none", "signals": [signal]}), documents)
    assert bench.order(alone) == best_first(bench.expected(alone).crossing)
    assert "signals" not in bench.status(alone)


@effect_of("score")
def scores_are_of_the_kind_that_was_chosen(bench: Bench) -> None:
    expected = bench.expected(bench.plain)
    first = [expected.first[id_] for id_ in expected.ids]
    assert [score for _, score in bench.scored(bench.plain)] == pytest.approx(first)
    for kind, wanted in (("fused", expected.fused("log_linear")), ("probability", expected.probability)):
        assert dict(bench.scored(bench.index(score=kind))) == pytest.approx(wanted, rel=2e-4)


def least_above(bench: Bench, count: int) -> float:
    """Return a probability that so many hits are below, far enough from each for a rounded query."""
    lower, higher = sorted(bench.expected(bench.plain).probability.values())[count - 1 : count + 1]
    return (lower + higher) / 2


@effect_of("min_probability")
def hits_of_a_low_probability_go_last(bench: Bench) -> None:
    probability, least = bench.expected(bench.plain).probability, least_above(bench, 11)
    light, index = (bench.index(fusion={"weight": 1}, **more) for more in ({}, {"min_probability": least}))
    usual, found = bench.order(light), bench.order(index)
    unlikely = [key for key in usual if probability[key] < least]
    assert len(unlikely) == 11
    assert found == [*(key for key in usual if key not in unlikely), *unlikely] != usual
    assert "; demoted=11; " in bench.status(index)
    there = bench.status(index, {"execution": "cluster"})
    assert there.endswith("; execution=sidecar; fallback=min_probability")


@effect_of("on_low_probability")
def hits_of_a_low_probability_are_cut(bench: Bench) -> None:
    probability, least = bench.expected(bench.plain).probability, least_above(bench, 11)
    index = bench.index(min_probability=least, on_low_probability="cut")
    wanted = [key for key in bench.order(bench.plain) if probability[key] >= least]
    assert bench.order(index) == wanted
    assert len(wanted) == 19
    assert "; cut=11; kept=19; " in bench.status(index)


@effect_of("diversity")
def hits_that_say_the_same_are_spread(bench: Bench) -> None:
    copies = [each | {"copy": n % 3} for n, each in enumerate(bench.documents[:10] * 3)]
    together, spread = (bench.filled(bench.empty(diversity=each), copies) for each in (0, 0.2))
    text = {key: each["text"] for key, each in ((str(n), each) for n, each in enumerate(copies))}
    usual, found = ([text[key] for key in bench.order(name)] for name in (together, spread))
    assert usual[0] == usual[1] == usual[2] == found[0]
    assert sorted(usual) == sorted(found)
    for one in range(20):  # at the end only copies are left
        assert found[one] not in found[one + 1 : one + 5]
    assert "; moved=" in bench.status(spread)
    assert "moved" not in bench.status(together)
    assert bench.status(spread, {"execution": "cluster"}).endswith("sidecar; fallback=diversity")


@effect_of("keep_exact")
def a_hit_that_is_the_query_comes_first(bench: Bench) -> None:
    usual = bench.order(bench.plain)
    exact = {usual[20]: bench.toy.query_text.upper(), usual[9]: f"  {bench.toy.query_text} "}
    documents = [each | {"name": exact.get(str(n), "another")} for n, each in enumerate(bench.documents)]
    index = bench.empty(keep_exact=["name.keyword", "nowhere"])
    bench.filled(index, documents)
    plain = [hit["_id"] for hit in bench.first_stage(index)]
    first = sorted(exact, key=plain.index)
    assert bench.order(index) == [*first, *(key for key in usual if key not in exact)]
    assert "; exact=2; " in bench.status(index)
    assert bench.status(index, {"execution": "cluster"}).endswith("sidecar; fallback=keep_exact")


@effect_of("rules")
def rules_hide_raise_and_lower(bench: Bench) -> None:
    light = {"weight": 1}  # so that a factor of 100 is more than all scores together
    usual = bench.order(bench.index(fusion=light))
    words = {"query": {"contains": bench.toy.query_text.split()[0]}}
    rules = [
        {"when": words, "then": {"hide": [usual[0]]}},
        {"then": {"boost": {"ids": [usual[20]], "factor": 100}}},
        {"then": {"bury": {"term": {"sold_out": True}, "factor": 100}}},
        {"when": {"query": {"is": "another"}}, "then": {"rerank": False}},
        {"when": {"query": {"is": "a pin"}}, "then": {"pin": [{"id": usual[9], "position": 2}]}},
    ]
    documents = [each | {"sold_out": str(n) == usual[1]} for n, each in enumerate(bench.documents)]
    wanted = [usual[20], *usual[2:20], *usual[21:], usual[1]]
    for execution in ("sidecar", "cluster"):
        index = bench.filled(bench.empty(rules=rules, execution=execution, fusion=light), documents)
        assert bench.order(index) == wanted
        assert "; rules=hide:1,boost:2; " in bench.status(index)
        assert json.loads(bench.answer(index).body)["hits"]["total"]["value"] == NUM_DOCUMENTS - 1
        other = {"query_context": {"query_text": "another"}}
        assert bench.status(index, other) == "skipped; reason=rule"
        pinning = {"query_context": {"query_text": "a pin"}}
        assert bench.order(index, pinning)[1] == usual[9]
        assert "; rules=boost:2,pin:1; " in bench.status(index, pinning)
        assert (execution == "cluster") == bench.status(index, pinning).endswith("sidecar; fallback=pin")
        skipped = bench.answer(index, {"enabled": False})
        assert skipped.rerank_status == "skipped; reason=disabled; rules=hide:1"
        assert usual[0] not in [hit["_id"] for hit in json.loads(skipped.body)["hits"]["hits"]]


@effect_of("rules_from")
def a_document_has_more_rules(bench: Bench) -> None:
    usual, documents = bench.order(bench.plain), bench.empty()
    hide = [{"then": {"hide": [each]}} for each in usual[:2]]
    bench.client.index(index=documents, id="a/b", body={"rules": hide[1:]})
    index = bench.index(rules=hide[:1], rules_from=f"{documents}/a/b")
    assert bench.order(index) == usual[2:]
    assert "; rules=hide:2; " in bench.status(index)
    missing = bench.index(rules=hide[:1], rules_from=f"{documents}/gone")
    assert bench.order(missing) == usual[1:]
    assert "; rules=hide:1,document:missing; " in bench.status(missing)


@effect_of("pipelines_allowed")
def a_pipeline_that_is_allowed_is_no_obstacle(bench: Bench) -> None:
    path, asked = "/_search/pipeline/effect-harmless", "?search_pipeline=effect-harmless"
    bench.client.transport.perform_request("PUT", path, body={"description": "does nothing"})
    allowing = bench.index(pipelines_allowed=["effect-harmless"])
    assert bench.answer(bench.plain, parameters=asked).rerank_status == "skipped; reason=search_pipeline"
    assert bench.answer(allowing, parameters=asked).rerank_status.startswith("applied")
    bench.client.transport.perform_request("DELETE", path)


def _chunks(bench: Bench, **chunk: int) -> int:
    """Write a text of 60 tokens through the proxy; return in how many chunks it was encoded."""
    words = known_words(bench.toy.bundle.path)
    text = " ".join(words[n % len(words)] for n in range(60))
    return len(bench.written(bench.empty(chunk=chunk), {"text": text}).values)


@effect_of("chunk.max_tokens")
def a_shorter_chunk_makes_more_of_them(bench: Bench) -> None:
    assert (_chunks(bench, overlap=0), _chunks(bench, overlap=0, max_tokens=32)) == (1, 2)


@effect_of("chunk.overlap")
def chunks_that_overlap_are_more(bench: Bench) -> None:
    assert _chunks(bench, max_tokens=32, overlap=15) > _chunks(bench, max_tokens=32, overlap=0)


@effect_of("chunk.max_chunks")
def no_more_chunks_than_allowed_are_encoded(bench: Bench) -> None:
    assert (_chunks(bench, max_tokens=16, max_chunks=3), _chunks(bench, max_tokens=16, max_chunks=5)) == (
        3,
        5,
    )


@contextmanager
def slow_encoder(bench: Bench) -> Iterator[Callable[..., str]]:
    """Yield what searches an index for a text of its own, with controls: its `Rerank-Status`.

    The model is real but for a pause, through a proxy in this process.
    """
    encode = bench.toy.bundle.load_query_encoder()

    def slowly(text: str) -> Floats:
        time.sleep(LATE_S)
        return encode(text)

    model = replace(Model.load(bench.toy.bundle), query_vectors=CachedQueryEncoder(slowly))
    with closing(Upstream(bench.url)) as upstream:
        proxied = Client(Proxy(upstream, model))

        def status(index: str, text: str, controls: dict[str, object] | None = None) -> str:
            body = {"query": {"match": {"text": f"{bench.toy.query_text} {text}"}}}
            asked = {**body, "ext": {"rerank": controls}} if controls else body
            answer = proxied.post(f"/{index}/_search", json=asked, buffered=True)
            return str(answer.headers["Rerank-Status"])

        yield status


@contextmanager
def combining(bench: Bench) -> Iterator[Callable[..., TestResponse]]:
    """Yield what searches an index, with controls, through a proxy in this process that has combiners.

    `last` prefers what OpenSearch has last, `other` was fitted with another model, `sales` needs a signal.
    """
    last, sales = np.array([1.0]), ("signal.sales",)
    combiners = {
        "last": LinearCombiner(("first_stage_rank",), last, bench.toy.bundle.vectors_of),
        "other": LinearCombiner(("first_stage_rank",), last, "another-model"),
        "sales": LinearCombiner(sales, last),
    }
    with closing(Upstream(bench.url)) as upstream:
        proxied = Client(Proxy(upstream, Model.load(bench.toy.bundle, combiners=combiners)))

        def answer(index: str, controls: dict[str, object] | None = None) -> TestResponse:
            asked = {"ext": {"rerank": controls}} if controls else {}
            body = {"query": bench.toy.query, "size": NUM_DOCUMENTS, **asked}
            return proxied.post(f"/{index}/_search", json=body, buffered=True)

        yield answer


@effect_of("fusion.combiner")
def a_combiner_of_that_name_orders(bench: Bench) -> None:
    def settings(name: str, **more: object) -> str:
        return bench.index(fusion={"method": "combiner", "combiner": name}, **more)

    index = settings("last", score="fused")
    first = [hit["_id"] for hit in bench.first_stage(index)]
    with combining(bench) as answer:
        found = answer(index, {"explain": True})
        assert found.headers["Rerank-Status"].startswith("applied")
        assert found.json is not None
        hits = found.json["hits"]["hits"]
        assert [hit["_id"] for hit in hits] == first[::-1]
        scores = [1 / (1 + math.exp(-rank)) for rank in range(NUM_DOCUMENTS, 0, -1)]
        assert [hit["_score"] for hit in hits] == pytest.approx(scores)
        used = found.json["ext"]["rerank"]
        assert (used["fusion"], used["combiner"], used["weight"]) == ("combiner", "last", None)
        in_cluster = answer(index, {"execution": "cluster"}).headers["Rerank-Status"]
        assert in_cluster.endswith("execution=sidecar; fallback=fusion")
        for name in ("other", "sales", "unknown"):
            skipped = answer(settings(name))
            assert skipped.headers["Rerank-Status"] == "skipped; reason=combiner", name
            assert skipped.json is not None
            assert [hit["_id"] for hit in skipped.json["hits"]["hits"]] == first
        assert answer(settings("unknown", on_failure="error")).status_code == 503


@effect_of("deadline_ms")
def a_late_vector_is_waited_for_so_long(bench: Bench) -> None:
    hurried = bench.index(deadline_ms=20)
    with slow_encoder(bench) as status:
        assert status(bench.plain, "patiently").startswith("applied")  # 10,000 ms
        assert status(hurried, "at once") == "skipped; reason=deadline"


@effect_of("languages")
def a_query_in_another_script_is_reranked_if_any_language_may_be(bench: Bench) -> None:
    """With a bundle that reads English, through a proxy in this process."""
    model = replace(Model.load(bench.toy.bundle), scripts=ReadableScripts(["en"]))
    allowing = bench.index(languages="any")
    query = {"query": {"match": {"text": f"{bench.toy.query_text} пароль"}}}
    with closing(Upstream(bench.url)) as upstream:
        proxied = Client(Proxy(upstream, model, SettingsCache(upstream, waits_for_coverage=True)))
        for index, reason in ((bench.plain, "skipped; reason=language"), (allowing, "applied")):
            answer = proxied.post(f"/{index}/_search", json=query, buffered=True)
            assert str(answer.headers["Rerank-Status"]).startswith(reason)


@effect_of("index_languages")
def an_index_in_another_language_is_not_reranked(bench: Bench) -> None:
    """With a bundle that reads English, through a proxy in this process."""
    foreign = ForeignQueries(waits=True)
    model = replace(Model.load(bench.toy.bundle), scripts=ReadableScripts(["en"]), foreign_queries=foreign)
    german = f"{bench.toy.query_text} und das ist eine Frage, die nicht auf Englisch gestellt wird"
    several = bench.index(index_languages={"en": 0.7, "de": 0.3})
    with closing(Upstream(bench.url)) as upstream:
        proxied = Client(Proxy(upstream, model, SettingsCache(upstream, waits_for_coverage=True)))
        for index, text, wanted in (
            (bench.index(index_languages={"de": 0.9}), bench.toy.query_text, "skipped; reason=language"),
            (bench.index(index_languages={"de": 0.9}, languages="any"), german, "applied"),
            (bench.plain, german, "applied"),
            (several, german, "skipped; reason=language"),
            (several, f"{bench.toy.query_text} nicht", "applied"),
        ):
            query = {"query": {"match": {"text": text}}}
            answer = proxied.post(f"/{index}/_search", json=query, buffered=True)
            assert str(answer.headers["Rerank-Status"]).startswith(wanted), text


@effect_of("on_failure")
def a_failure_is_answered_as_chosen(bench: Bench) -> None:
    """No document has a vector, so that reranking fails."""
    bare = [{"text": each["text"]} for each in bench.documents]
    kept, told = (bench.filled(bench.empty(on_failure=each), bare) for each in ("first_stage", "error"))
    page = bench.answer(kept)
    assert (page.status, page.rerank_status) == (200, "skipped; reason=vectors")
    assert len(json.loads(page.body)["hits"]["hits"]) == NUM_DOCUMENTS
    error = bench.answer(told)
    assert error.status == 503
    assert "vectors" in json.loads(error.body)["error"]["reason"]


@effect_of("verify_at_search")
def a_vector_of_another_text_is_not_scored(bench: Bench) -> None:
    """Of three documents two were written around the proxy with the vector of their former text."""
    former = [each | {"text": f"{each['text']} and more"} for each in bench.documents[:2]]
    documents = [*former, *bench.documents[2:3]]
    for verifies, scored in ((True, "scored=1;"), (False, "scored=3;")):
        index = bench.filled(bench.empty(verify_at_search=verifies), documents)
        assert scored in bench.status(index)


@effect_of("versioning")
def repairs_keep_versions_of_the_writers_own(bench: Bench) -> None:
    versions = []
    for kind in ("external", "internal"):
        index = bench.empty(versioning=kind)
        written = ask(
            bench.url, "PUT", f"/{index}/_doc/1?version=7&version_type=external", b'{"text":"a"}', JSON_BODY
        )
        assert written.status == 201
        assert synced(bench.url, index).written == 1
        versions.append(bench.client.get(index=index, id="1")["_version"])
    assert versions == [7, 8]


def _migrating(bench: Bench, **changes: Any) -> str:  # noqa: ANN401
    """Make an index of another model, whose second field holds this one's vectors."""
    migration = {"model": bench.toy.bundle.name, "field": "second.vector", "cut_over": True} | changes
    name = bench.empty("own.place", "second.vector", model="another", migration=migration)
    moved = [{"text": each["text"], "second": each["rerank"]} for each in bench.documents]
    return bench.filled(name, moved)


@effect_of("migration.model")
def the_second_field_serves_its_model(bench: Bench) -> None:
    assert bench.order(_migrating(bench)) == bench.order(bench.plain)
    assert bench.status(_migrating(bench, model="a-third")) == "skipped; reason=model"


@effect_of("migration.field")
def the_second_field_is_where_it_is_said_to_be(bench: Bench) -> None:
    assert bench.status(_migrating(bench, field="own.place")) == "skipped; reason=vectors"


@effect_of("migration.cut_over")
def before_the_cut_over_the_second_field_is_not_searched(bench: Bench) -> None:
    assert bench.status(_migrating(bench, cut_over=False)) == "skipped; reason=model"


ARMS: dict[str, Any] = {"control": "opensearch", "reranked": {}}


def _running(bench: Bench, **experiment: object) -> str:
    """Return an index with an experiment whose units a header names."""
    settings = {"name": "autumn", "mode": "split", "arms": ARMS, "unit": {"header": "X-Session"}}
    return bench.index(experiment=settings | experiment)


def _status_of(bench: Bench, name: str, unit: str, header: str = "X-Session") -> str:
    body = json.dumps({"query": bench.toy.query}).encode()
    return ask(bench.proxy_url, "POST", f"/{name}/_search", body, JSON_BODY | {header: unit}).rerank_status


def _arms_of(bench: Bench, name: str) -> list[str]:
    return [_status_of(bench, name, f"user-{n}").rpartition("arm=")[2] for n in range(16)]


@effect_of("experiment.name")
def an_experiment_runs_if_it_has_a_name(bench: Bench) -> None:
    assert "; experiment=winter; arm=" in _status_of(bench, _running(bench, name="winter"), "anna")
    assert "experiment" not in _status_of(bench, bench.plain, "anna")


@effect_of("experiment.mode")
def a_page_has_one_arm_or_is_made_of_two(bench: Bench) -> None:
    assert _status_of(bench, _running(bench, mode="interleave"), "anna").endswith("arm=interleaved")
    assert set(_arms_of(bench, _running(bench))) == set(ARMS)


@effect_of("experiment.arms")
def the_arms_are_those_that_are_named(bench: Bench) -> None:
    arms = {"control": {}, "a": {"fusion": {"weight": 1}}, "b": "opensearch"}
    assert set(_arms_of(bench, _running(bench, arms=arms))) == set(arms)


@effect_of("experiment.control")
def the_control_is_the_arm_that_is_named(bench: Bench) -> None:
    """It is the first in every report, and the first of those that units are drawn for."""
    before, after = (_arms_of(bench, _running(bench, control=each)) for each in ARMS)
    assert before == [{"control": "reranked", "reranked": "control"}[arm] for arm in after]
    assert _status_of(bench, _running(bench, control="third"), "anna") == "skipped; reason=settings"


@effect_of("experiment.share")
def only_a_share_of_units_takes_part(bench: Bench) -> None:
    name = _running(bench, share=0.5)
    outside = [_status_of(bench, name, f"user-{n}").endswith("experiment=outside_share") for n in range(16)]
    assert 0 < sum(outside) < 16


@effect_of("experiment.unit")
def a_header_may_name_the_unit(bench: Bench) -> None:
    name = _running(bench, unit={"header": "X-Visitor"})
    assert "arm=" in _status_of(bench, name, "anna", "X-Visitor")
    assert _status_of(bench, name, "anna").endswith("experiment=no_unit")


@effect_of("experiment.salt")
def another_salt_draws_the_units_anew(bench: Bench) -> None:
    assert _arms_of(bench, _running(bench)) != _arms_of(bench, _running(bench, salt="2"))
