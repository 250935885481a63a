"""Rules on a real OpenSearch: who is hidden where, pages and totals, and both executions alike."""

import itertools
import json
import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch, helpers
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.searches.several_searches import lines

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

NAME, OTHER, NUM_DOCUMENTS, NUM_OTHERS = "rules", "rules-other", 60, 20
SALES = {"field": "sales", "kind": "saturation", "weight": 3, "pivot": 20}


@pytest.fixture(scope="module")
def index(client: OpenSearch, toy_index: ToyIndex) -> Iterator[str]:
    """Make two indices of one model whose documents have the same ids; the second is newer."""
    sources = [hit["_source"] for hit in toy_index.first_stage(NUM_DOCUMENTS)]
    for name, number in ((NAME, NUM_DOCUMENTS), (OTHER, NUM_OTHERS)):
        body = index_body(toy_index.bundle)
        body["mappings"]["properties"] |= {"brand": {"type": "keyword"}, "sales": {"type": "long"}}
        body["aliases"] = {"rules-all": {}}
        client.indices.create(index=name, body=body)
        actions = (
            {"_index": name, "_id": str(n), "_source": each | {"brand": "ab"[n % 2], "sales": n % 7}}
            for n, each in enumerate(sources[:number])
        )
        helpers.bulk(client, actions, refresh=True)
    yield NAME
    client.indices.delete(index=f"{NAME},{OTHER}")


class Shop:
    """Sets rules and searches through a proxy that reads settings when it is asked for the first time."""

    def __init__(self, client: OpenSearch, url: str, toy: ToyIndex) -> None:
        self.client, self.url, self.toy = client, url, toy
        self.model = Model.load(toy.bundle)

    def set(self, *rules: dict[str, Any], name: str = NAME, **more: Any) -> None:  # noqa: ANN401
        """Give an index these rules and settings, in place of all that it had."""
        body = index_body(self.toy.bundle, rules=list(rules), deadline_ms=10_000, **more)
        self.client.indices.put_mapping(index=name, body={"_meta": body["mappings"]["_meta"]})

    @contextmanager
    def proxy(self) -> Iterator[Client]:
        with closing(Upstream(self.url)) as upstream:
            yield Client(Proxy(upstream, self.model))

    def search(
        self,
        name: str = NAME,
        parameters: str = "",
        *,
        start: int = 0,
        **body: Any,  # noqa: ANN401
    ) -> TestResponse:
        with self.proxy() as proxy:
            whole = {"query": self.toy.query, "size": 100, **({"from": start} if start else {}), **body}
            return proxy.post(f"/{name}/_search{parameters}", json=whole, buffered=True)

    def plain(self, name: str = NAME, **body: Any) -> dict[str, Any]:  # noqa: ANN401
        """Return OpenSearch's own answer."""
        found: dict[str, Any] = self.client.search(
            index=name, body={"query": self.toy.query, "size": 100, **body}
        )
        return found


@pytest.fixture(scope="module")
def shop(client: OpenSearch, opensearch_url: str, toy_index: ToyIndex, index: str) -> Shop:
    return Shop(client, opensearch_url, toy_index)


def ids(answer: TestResponse | dict[str, Any]) -> list[str]:
    body = answer if isinstance(answer, dict) else json.loads(answer.data)
    return [hit["_id"] for hit in body["hits"]["hits"]]


def status(answer: TestResponse) -> str:
    return str(answer.headers["Rerank-Status"])


def total(answer: TestResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.data)["hits"]["total"]
    return found


ID = st.integers(0, NUM_DOCUMENTS + 3).map(str)
FACTOR = st.floats(1, 100)
NAMED = st.one_of(
    st.fixed_dictionaries({"ids": st.lists(ID, min_size=1, max_size=5), "factor": FACTOR}),
    st.fixed_dictionaries(
        {"term": st.sampled_from([{"brand": "a"}, {"brand": "c"}, {"sales": 3}]), "factor": FACTOR}
    ),
)
RULE = st.fixed_dictionaries(
    {
        "then": st.one_of(
            st.fixed_dictionaries({"hide": st.lists(ID, min_size=1, max_size=8)}),
            st.fixed_dictionaries({"boost": NAMED}, optional={"bury": NAMED}),
        )
    },
    optional={
        "when": st.sampled_from([{}, {"query": {"pattern": "*"}}, {"query": {"is": "nobody asks this"}}])
    },
)


def applies(rule: dict[str, Any]) -> bool:
    return "is" not in rule.get("when", {}).get("query", {})


@dataclass(frozen=True)
class PagedSearch:
    """How a search is made: how much of it is reranked, how and by what, and the sizes of its pages."""

    window: int
    sizes: list[int]
    execution: str
    signals: list[dict[str, Any]]
    enabled: bool

    @property
    def controls(self) -> dict[str, Any]:
        """What `ext.rerank` has of it."""
        return {"window_size": self.window, "execution": self.execution, "enabled": self.enabled}


SEARCHES = st.builds(
    PagedSearch,
    window=st.integers(1, 80),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=3),
    execution=st.sampled_from(["sidecar", "cluster"]),
    signals=st.sampled_from([[], [SALES]]),
    enabled=st.booleans(),
)


def drawn(max_examples: int, *, is_long: bool) -> settings:
    """Return how a property is tried: so many examples, 150 in the long form."""
    return settings(
        max_examples=150 if is_long else max_examples,
        deadline=None,
        derandomize=not is_long,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def read_pages(shop: Shop, sizes: list[int], num_hits: int, **controls: Any) -> list[str]:  # noqa: ANN401
    """Read every page, of these sizes in turn, and one more; each has the total."""
    found: list[str] = []
    for size in itertools.cycle(sizes):
        answer = shop.search(start=len(found), size=size, ext={"rerank": controls})
        assert total(answer) == {"value": num_hits, "relation": "eq"}, status(answer)
        page = ids(answer)
        assert len(page) == min(size, num_hits - len(found)), status(answer)
        found += page
        if len(found) >= num_hits and not page:
            return found
    raise AssertionError("unreachable")


def test_all_pages_are_every_hit_once_and_hidden_ones_never(shop: Shop, *, is_long: bool) -> None:
    """With random rules, signals, windows, pages and executions, reranked or not."""

    @drawn(12, is_long=is_long)
    @given(
        st.lists(RULE, min_size=1, max_size=5),
        SEARCHES,
    )
    def once(
        rules: list[dict[str, Any]],
        paged: PagedSearch,
    ) -> None:
        shop.set(*rules, fusion={"signals": paged.signals, "feedback": 0, "smoothing": 0})
        hidden = {each for rule in rules if applies(rule) for each in rule["then"].get("hide", ())}
        wanted = {str(n) for n in range(NUM_DOCUMENTS)} - hidden
        found = read_pages(shop, paged.sizes, len(wanted), **paged.controls)
        assert sorted(found) == sorted(wanted)

    once()


def test_both_executions_have_the_same_scores(shop: Shop, *, is_long: bool) -> None:
    """Boosts and buries by id and by value, beside a signal."""

    @drawn(12, is_long=is_long)
    @given(st.lists(RULE, min_size=1, max_size=4), st.sampled_from([[], [SALES]]))
    def alike(rules: list[dict[str, Any]], signals: list[dict[str, Any]]) -> None:
        shop.set(*rules, score="fused", fusion={"signals": signals, "feedback": 0, "smoothing": 0})
        found = []
        for execution in ("sidecar", "cluster"):
            answer = shop.search(ext={"rerank": {"execution": execution}}, _source=False)
            assert status(answer).endswith(f"execution={execution}"), status(answer)
            hits = json.loads(answer.data)["hits"]["hits"]
            found.append({hit["_id"]: hit["_score"] for hit in hits})
        sidecar, cluster = found
        assert sidecar == {key: pytest.approx(score, rel=1e-4) for key, score in cluster.items()}
        for higher, lower in itertools.pairwise(cluster):
            assert math.log(sidecar[higher]) > math.log(sidecar[lower]) - 1e-5

    alike()


HIDE = {"then": {"hide": ["0", "1", "missing"]}}
KEPT = {str(n) for n in range(NUM_DOCUMENTS)} - {"0", "1"}


def test_facets_and_scores_are_those_without_the_hidden(shop: Shop) -> None:
    shop.set(HIDE)
    aggs = {"brands": {"terms": {"field": "brand"}}}
    usual = {hit["_id"]: hit["_score"] for hit in shop.plain()["hits"]["hits"]}
    for controls in ({}, {"enabled": False}, {"execution": "cluster", "score": "first_stage"}):
        answer = shop.search(aggs=aggs, ext={"rerank": controls})
        assert "; rules=hide:3" in status(answer)
        buckets = json.loads(answer.data)["aggregations"]["brands"]["buckets"]
        assert {each["key"]: each["doc_count"] for each in buckets} == {"a": 29, "b": 29}
    kept = json.loads(answer.data)["hits"]["hits"]
    assert {hit["_id"] for hit in kept} == KEPT
    unranked = shop.search(ext={"rerank": {"enabled": False}})
    shown = {hit["_id"]: hit["_score"] for hit in json.loads(unranked.data)["hits"]["hits"]}
    assert shown == {key: pytest.approx(usual[key], rel=1e-6) for key in KEPT}
    assert json.loads(shop.search(size=0, aggs=aggs).data)["hits"]["total"]["value"] == NUM_DOCUMENTS - 2


SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("?q=text:{text}", {"query": None}),
    ("?q={text}&df=text&default_operator=or&lenient=true", {"query": {"match_none": {}}}),
    ("", {"post_filter": {"term": {"brand": "a"}}}),
    ("", {"query": {"function_score": {"query": {"match": {"text": "{text}"}}, "weight": 3}}}),
    ("", {"highlight": {"fields": {"text": {}}}, "_source": False}),
    ("", {"min_score": 0.0001, "explain": True}),
    ("?filter_path=hits.hits._id,hits.total", {}),
    ("", {"query": {"match_all": {}}}),
    ("", {"query": {"bool": {"filter": [{"exists": {"field": "text"}}]}}}),
    ("", {"collapse": {"field": "sales"}}),
    ("", {"rescore": {"window_size": 100, "query": {"rescore_query": {"match": {"text": "{text}"}}}}}),
    ("?request_cache=true", {"track_total_hits": False}),
    ("?rest_total_hits_as_int=true", {"fields": ["brand", "sales"]}),
]


@pytest.mark.parametrize(("parameters", "body"), SHAPES, ids=str)
def test_searches_of_every_shape_do_not_find_the_hidden(
    shop: Shop, parameters: str, body: dict[str, Any]
) -> None:
    """The same hits as OpenSearch's own, but for the hidden ones."""
    shop.set(HIDE)
    text = shop.toy.query_text
    filled = json.loads(json.dumps(body).replace("{text}", text))
    written = parameters.replace("{text}", text.replace(" ", "+"))
    if filled.get("query", 0) is None:
        del filled["query"]
        whole = {"size": 100, **filled}
    else:
        whole = {"query": shop.toy.query, "size": 100, **filled}
    own = {"ext": {"rerank": {"enabled": False, "rules": False}}}
    with shop.proxy() as proxy:
        plain = proxy.post(f"/{NAME}/_search{written}", json={**whole, **own}, buffered=True)
        found = proxy.post(f"/{NAME}/_search{written}", json=whole, buffered=True)
    assert (plain.status_code, found.status_code) == (200, 200), found.data[:500]
    if "collapse" in body:  # another hit of the group takes the place of a hidden one
        assert not {"0", "1"} & set(ids(found))
        assert len(ids(found)) == len(ids(plain))
    else:
        assert sorted(ids(found)) == sorted(each for each in ids(plain) if each not in {"0", "1"})
    assert "rules=hide:3" in status(found)


def test_templates_and_items_do_not_find_the_hidden(shop: Shop) -> None:
    shop.set(HIDE)
    source = {"query": {"match": {"text": "{{words}}"}}, "size": 100}
    template = {"source": source, "params": {"words": shop.toy.query_text}}
    with shop.proxy() as proxy:
        answer = proxy.post(f"/{NAME}/_search/template", json=template, buffered=True)
        assert (set(ids(answer)), "; rules=hide:3" in status(answer)) == (KEPT, True)
        whole = {"query": shop.toy.query, "size": 100}
        off = {**whole, "ext": {"rerank": {"enabled": False}}}
        body = lines({"index": NAME}, whole, {"index": NAME}, off)
        several = proxy.post("/_msearch", data=body, content_type="application/x-ndjson", buffered=True)
        for item in json.loads(several.data)["responses"]:
            assert set(ids(item)) == KEPT
        scrolled = proxy.post(f"/{NAME}/_search?scroll=1m", json=whole, buffered=True)
        assert (len(ids(scrolled)), status(scrolled)) == (NUM_DOCUMENTS, "skipped; reason=scroll; rules=none")
        by_sales = proxy.post(f"/{NAME}/_search", json={**whole, "sort": ["sales"]}, buffered=True)
        assert (len(ids(by_sales)), status(by_sales)) == (NUM_DOCUMENTS, "skipped; reason=sort; rules=none")


def test_each_index_hides_its_own(shop: Shop) -> None:
    """The union, each in its index: the same id in the other index is shown."""
    shop.set({"then": {"hide": ["0"]}})
    shop.set({"then": {"hide": ["1"]}}, name=OTHER)
    for name in (f"{NAME},{OTHER}", "rules-all", "rules*"):
        answer = shop.search(name)
        found = [(hit["_index"], hit["_id"]) for hit in json.loads(answer.data)["hits"]["hits"]]
        every = {(NAME, str(n)) for n in range(NUM_DOCUMENTS)} | {(OTHER, str(n)) for n in range(NUM_OTHERS)}
        assert sorted(found) == sorted(every - {(NAME, "0"), (OTHER, "1")}), name
        assert "; rules=hide:2; " in status(answer)
    shop.set(name=OTHER)


def test_a_refused_search_is_sent_as_it_came(shop: Shop) -> None:
    """What OpenSearch refuses with rules it may answer without them; an error is about the client's own."""
    shop.set(HIDE)
    wrong = shop.search(query={"no_such_query": {}})
    assert wrong.status_code == 400
    assert "no_such_query" in json.loads(wrong.data)["error"]["reason"]
    assert "[bool]" not in wrong.text
    assert status(wrong).endswith("rules=none")


def test_a_rule_may_ask_for_opensearchs_order(shop: Shop) -> None:
    shop.set({"when": {"query": {"is": shop.toy.query_text}}, "then": {"rerank": False, "hide": ["0"]}})
    answer = shop.search()
    assert status(answer) == "skipped; reason=rule; rules=hide:1"
    assert ids(answer) == [each for each in ids(shop.plain()) if each != "0"]
    other = {"rerank": {"query_context": {"query_text": "another text"}}}
    assert status(shop.search(ext=other)).startswith("applied; ")


def test_a_rule_for_everything_is_one(shop: Shop) -> None:
    """It hides from a search without a text too."""
    shop.set({"when": {"query": {"pattern": "*"}}, "then": {"hide": ["0"]}}, {"then": {"hide": ["1"]}})
    assert "0" not in ids(shop.search())
    nothing = shop.search(query={"match_all": {}})
    assert status(nothing) == "skipped; reason=query_text; rules=hide:1"
    assert {"0", "1"} & set(ids(nothing)) == {"0"}


def test_wrong_rules_keep_opensearchs_order(shop: Shop) -> None:
    shop.set(*[HIDE] * 201)
    answer = shop.search()
    assert status(answer) == "skipped; reason=settings"
    assert ids(answer) == ids(shop.plain())
    shop.set()


def pin(*pins: tuple[str, int], **when: object) -> dict[str, Any]:
    return {"when": when, "then": {"pin": [{"id": id_, "position": position} for id_, position in pins]}}


def insert_all(others: list[str], pins: list[tuple[str, int]]) -> list[str]:
    """Return a list with pins put into it the plain way: by their places, each at the next free one."""
    shown, last = list(others), -1
    for id_, position in sorted(pins, key=lambda each: each[1]):
        last = max(position - 1, last + 1)
        shown.insert(last, id_)
    return shown


PINS = st.lists(st.tuples(ID, st.integers(1, 80)), min_size=1, max_size=4, unique_by=lambda each: each[0])


def test_pins_are_where_they_were_put_on_every_page(shop: Shop, *, is_long: bool) -> None:
    """Beyond the window too, beside hides, boosts and signals, reranked or not; totals are right."""

    @drawn(15, is_long=is_long)
    @given(
        PINS,
        st.lists(RULE, max_size=3),
        SEARCHES,
    )
    def placed(
        pins: list[tuple[str, int]],
        rules: list[dict[str, Any]],
        paged: PagedSearch,
    ) -> None:
        shop.set(*rules, pin(*pins), fusion={"signals": paged.signals, "feedback": 0, "smoothing": 0})
        hidden = {each for rule in rules if applies(rule) for each in rule["then"].get("hide", ())}
        wanted = {str(n) for n in range(NUM_DOCUMENTS)} - hidden
        found = read_pages(shop, paged.sizes, len(wanted), **paged.controls)
        assert sorted(found) == sorted(wanted)
        shown = [each for each in pins if each[0] in wanted]
        others = [each for each in found if each not in {id_ for id_, _ in shown}]
        assert found == insert_all(others, shown)

    placed()


def test_the_other_hits_keep_their_order_and_a_pin_has_the_score_above_it(shop: Shop) -> None:
    shop.set()
    usual = [hit["_id"] for hit in json.loads(shop.search().data)["hits"]["hits"]]
    pins = [(usual[30], 1), (usual[5], 4), (usual[6], 4), (usual[2], 99)]
    shop.set(pin(*pins))
    answer = shop.search()
    assert "; rules=pin:4; " in status(answer)
    hits = json.loads(answer.data)["hits"]
    assert ids(answer) == insert_all([each for each in usual if each not in dict(pins)], pins)
    scores = [hit["_score"] for hit in hits["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert (scores[0], scores[3], scores[4]) == (hits["max_score"], scores[2], scores[2])
    for start in range(8):
        page = json.loads(shop.search(start=start, size=3).data)["hits"]["hits"]
        assert [hit["_score"] for hit in page] == pytest.approx(scores[start : start + 3])


def test_a_pin_obeys_the_clients_query_and_filters(shop: Shop) -> None:
    """A document that is missing, filtered out or hidden is not shown, and of facets it is a part."""
    shop.set(pin(("0", 1), ("missing", 1), ("1", 2)), {"then": {"hide": ["1"]}})
    aggs = {"brands": {"terms": {"field": "brand"}}}
    answer = shop.search(aggs=aggs)
    assert "; rules=hide:1,pin:1; " in status(answer)
    assert (ids(answer)[0], len(ids(answer)), total(answer)["value"]) == ("0", 59, 59)
    buckets = json.loads(answer.data)["aggregations"]["brands"]["buckets"]
    assert {each["key"]: each["doc_count"] for each in buckets} == {"a": 30, "b": 29}
    for body in (
        {"post_filter": {"term": {"brand": "b"}}},
        {"query": {"bool": {"must": [shop.toy.query], "filter": [{"term": {"brand": "b"}}]}}},
    ):
        filtered = shop.search(**body)
        assert "; rules=hide:1,pin:0; " in status(filtered)
        assert not {"0", "1"} & set(ids(filtered))
        assert (len(ids(filtered)), total(filtered)["value"]) == (29, 29)
    nothing = shop.search(query={"match": {"text": "nosuchword"}})
    assert (ids(nothing), total(nothing)["value"]) == ([], 0)


def test_only_pins_are_a_page_too(shop: Shop) -> None:
    shop.set(pin(("3", 5), ("4", 1)))
    answer = shop.search(
        query={"bool": {"must": [shop.toy.query], "filter": [{"ids": {"values": ["3", "4"]}}]}}
    )
    assert (ids(answer), total(answer)["value"]) == (["4", "3"], 2)
    assert all(hit["_score"] > 0 for hit in json.loads(answer.data)["hits"]["hits"])
    first = shop.search(size=1)
    assert (ids(first), total(first)["value"]) == (["4"], NUM_DOCUMENTS)
    assert ids(shop.search(size=0)) == []


def test_a_pin_of_an_id_in_two_indices_shows_both(shop: Shop) -> None:
    """The rules of the newest index hold, and an id may be that of a document in each."""
    shop.set(pin(("7", 1)), name=OTHER)
    shop.set(pin(("8", 1)))
    answer = shop.search("rules-all", size=3)
    found = [(hit["_index"], hit["_id"]) for hit in json.loads(answer.data)["hits"]["hits"]]
    assert sorted(found[:2]) == [(NAME, "7"), (OTHER, "7")]
    assert "; rules=pin:2; " in status(answer)
    assert total(answer)["value"] == NUM_DOCUMENTS + NUM_OTHERS
    shop.set(pin(("50", 1)), name=OTHER)
    answer = shop.search("rules-all", size=3)
    first = json.loads(answer.data)["hits"]["hits"][0]
    assert (first["_index"], first["_id"]) == (NAME, "50")
    shop.set(name=OTHER)


PINNED_SHAPES: list[tuple[str, dict[str, Any]]] = [
    *(each for each in SHAPES if "filter_path" not in each[0] and "collapse" not in each[1]),
    ("?pretty", {"_source": ["brand"], "stored_fields": ["_id"]}),
    ("", {"sort": ["_score"], "version": True, "seq_no_primary_term": True}),
    ("", {"docvalue_fields": ["brand"], "script_fields": {"s": {"script": "1"}}, "_source": True}),
]


@pytest.mark.parametrize(("parameters", "body"), PINNED_SHAPES, ids=str)
def test_searches_of_every_shape_have_their_pins(shop: Shop, parameters: str, body: dict[str, Any]) -> None:
    """The pinned hit is the one that the client would see elsewhere, but for its score."""
    shop.set(pin(("4", 3)))
    text = shop.toy.query_text
    filled = {"query": shop.toy.query, "size": 100, **json.loads(json.dumps(body).replace("{text}", text))}
    if filled["query"] is None:
        del filled["query"]
    written = f"/{NAME}/_search{parameters.replace('{text}', text.replace(' ', '+'))}"
    own = {"ext": {"rerank": {"rules": False}}}
    with shop.proxy() as proxy:
        plain = proxy.post(written, json={**filled, **own}, buffered=True)
        found = proxy.post(written, json=filled, buffered=True)
    assert (plain.status_code, found.status_code) == (200, 200), found.data[:500]
    assert "; rules=pin:1" in status(found), status(found)
    usual = ids(plain)
    assert ids(found) == insert_all([each for each in usual if each != "4"], [("4", 3)])
    shown, before = (
        next(hit for hit in json.loads(each.data)["hits"]["hits"] if hit["_id"] == "4")
        for each in (found, plain)
    )
    left_out = ("_score", "sort", "_explanation")
    assert {k: v for k, v in shown.items() if k not in left_out} == {
        k: v for k, v in before.items() if k not in left_out
    }


def test_where_pins_are_off(shop: Shop) -> None:
    shop.set(pin(("4", 3)))
    collapsed = shop.search(collapse={"field": "sales"})
    filtered = shop.search(parameters="?filter_path=hits.hits._id")
    for answer in (collapsed, filtered):
        assert "; rules=pin:off; " in status(answer)
    with shop.proxy() as proxy:
        body = lines({"index": NAME}, {"query": shop.toy.query, "size": 100})
        several = proxy.post("/_msearch", data=body, content_type="application/x-ndjson", buffered=True)
    usual = ids(shop.search(ext={"rerank": {"rules": False}}))
    assert ids(json.loads(several.data)["responses"][0]) == usual


def test_an_explanation_names_the_pin(shop: Shop) -> None:
    shop.set(pin(("4", 2)))
    answer = shop.search(ext={"rerank": {"explain": True}})
    hits = json.loads(answer.data)["hits"]["hits"]
    assert ("_rerank" not in hits[1], hits[1]["_pinned"]) == (True, 2)
    assert [hit["_rerank"]["rank"] for hit in hits if "_rerank" in hit] == [1, *range(3, NUM_DOCUMENTS + 1)]
