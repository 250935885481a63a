"""Signals on a real OpenSearch: both executions alike, pages exact, the client's own fields as they are."""

import itertools
import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch, helpers

from tests.support.http.raw_http import RawAnswer, ids, search
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.searches.several_searches import items, lines, msearch

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

NAME, LACKING, NUM_DOCUMENTS = "signals", "signals-lacking", 90
FIELDS = {
    "sales": {"type": "long"},
    "price": {"type": "double"},
    "rating": {"type": "half_float"},
    "published": {"type": "date", "format": "yyyy/MM/dd"},
    "seen": {"type": "date_nanos"},
    "stock": {"type": "unsigned_long"},
    "code": {"type": "keyword"},
    "sold_out": {"type": "boolean"},
    "title": {"type": "text"},
    "hidden": {"type": "long", "doc_values": False},
    "n": {"type": "long"},
}
SALES = {"field": "sales", "kind": "saturation", "weight": 4, "pivot": 50}
AGE = {"field": "published", "kind": "decay", "weight": 3, "scale": "200d", "origin": "2025-06-01"}


def document(source: dict[str, Any], number: int) -> dict[str, Any]:
    """Return a document some of whose fields are missing, several, or not what a signal reads."""
    chosen = random.Random(number)
    values: dict[str, Any] = {
        "sales": chosen.choice([0, 7, 400, [900, 3], -20, 2**60]),
        "price": chosen.choice([0.1, 19.99, 1e300, -5.5]),
        "rating": chosen.uniform(0, 5),
        "published": f"202{chosen.randrange(7)}/0{chosen.randrange(1, 10)}/11",
        "seen": "2025-05-05T05:05:05.123456789Z",
        "stock": chosen.choice([0, 2**63 + 5]),
        "code": str(chosen.randrange(100)),
        "sold_out": chosen.random() < 0.5,
        "title": "a title",
        "hidden": 5,
    }
    return source | {name: value for name, value in values.items() if chosen.random() < 0.8}


@pytest.fixture(scope="module")
def index(client: OpenSearch, toy_index: ToyIndex) -> Iterator[str]:
    """Two indices of one model, of which the second has none of the fields."""
    sources = [hit["_source"] for hit in toy_index.first_stage(NUM_DOCUMENTS)]
    for name, fields in ((NAME, FIELDS), (LACKING, {})):
        body = index_body(toy_index.bundle)
        body["mappings"]["properties"] |= fields
        client.indices.create(index=name, body=body)
        of_this = [document(each, n) if fields else each for n, each in enumerate(sources)]
        actions = ({"_index": name, "_id": str(n), "_source": each} for n, each in enumerate(of_this))
        helpers.bulk(client, actions, refresh=True)
    yield NAME
    client.indices.delete(index=f"{NAME},{LACKING}")


def run(url: str, toy: ToyIndex, signals: list[dict[str, Any]], name: str = NAME, **more: Any) -> RawAnswer:  # noqa: ANN401
    """Search with signals; `rerank` holds more keys of `ext.rerank`."""
    fusion = {"signals": signals, "feedback": 0, "smoothing": 0}
    controls = {"fusion": fusion, **more.pop("rerank", {})}
    body = {"query": toy.query, "size": NUM_DOCUMENTS, "ext": {"rerank": controls}, **more}
    return search(url, name, body, more.pop("parameters", ""))


def hits_of(answer: RawAnswer) -> list[dict[str, Any]]:
    hits: list[dict[str, Any]] = json.loads(answer.body)["hits"]["hits"]
    return hits


SIGNALS = st.one_of(
    st.fixed_dictionaries(
        {
            "field": st.sampled_from([*FIELDS.keys() - {"title", "hidden"}, "nowhere"]),
            "kind": st.just("log1p"),
            "weight": st.floats(-10, 10, allow_subnormal=False),
            "scale": st.floats(1e-3, 1e6),
        },
        optional={"missing": st.floats(0, 1)},
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["sales", "price", "rating", "stock"]),
            "kind": st.just("saturation"),
            "weight": st.floats(-10, 10, allow_subnormal=False),
            "pivot": st.floats(1e-3, 1e6),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["published", "seen"]),
            "kind": st.just("decay"),
            "weight": st.floats(-10, 10, allow_subnormal=False),
            "scale": st.sampled_from(["1ms", "12h", "30d", "5000d"]),
            "origin": st.sampled_from(["2025-05-05", "1970-01-01T00:00:00Z", "2999-12-31"]),
        }
    ),
    st.fixed_dictionaries(
        {
            "field": st.sampled_from(["sales", "price", "rating", "published", "n"]),
            "kind": st.just("decay"),
            "weight": st.floats(-10, 10, allow_subnormal=False),
            "scale": st.floats(1e-3, 1e9),
            "origin": st.floats(-1e6, 1e6),
        }
    ),
)


def test_both_executions_give_the_same_scores(
    proxy_url: str, index: str, toy_index: ToyIndex, *, is_long: bool
) -> None:
    """Every kind on fields of every type, missing, several and huge values, and none is infinite or NaN."""

    @settings(
        max_examples=200 if is_long else 15,
        deadline=None,
        derandomize=not is_long,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(SIGNALS, min_size=1, max_size=4))
    def alike(signals: list[dict[str, Any]]) -> None:
        found = []
        for execution in ("sidecar", "cluster"):
            controls = {"execution": execution, "score": "fused"}
            answer = run(proxy_url, toy_index, signals, index, rerank=controls, _source=False)
            assert f"; signals={len(signals)}; " in answer.rerank_status
            assert answer.rerank_status.endswith(f"execution={execution}"), answer.rerank_status
            found.append({hit["_id"]: hit["_score"] for hit in hits_of(answer)})
        sidecar, cluster = found
        assert sidecar == {key: pytest.approx(score, rel=1e-4) for key, score in cluster.items()}
        order = list(cluster)
        for higher, lower in itertools.pairwise(order):
            assert math.log(sidecar[higher]) > math.log(sidecar[lower]) - 1e-5

    alike()


def test_the_present_is_the_same_on_both_sides(proxy_url: str, index: str, toy_index: ToyIndex) -> None:
    signal = {"field": "published", "kind": "decay", "weight": 5, "scale": "800d"}
    orders = [
        ids(run(proxy_url, toy_index, [signal], rerank={"execution": each}))
        for each in ("sidecar", "cluster")
    ]
    assert orders[0] == orders[1] != ids(run(proxy_url, toy_index, []))


@pytest.mark.parametrize("execution", ["sidecar", "cluster"])
@pytest.mark.parametrize("window", [7, 40, 100])
def test_all_pages_together_are_every_hit_once(
    proxy_url: str, index: str, toy_index: ToyIndex, execution: str, window: int
) -> None:
    found: list[str] = []
    for size in itertools.cycle([1, 13, 29]):
        controls = {"execution": execution, "window_size": window}
        size = min(size, NUM_DOCUMENTS - len(found))
        place: dict[str, Any] = {"from": len(found), "size": size}
        page = run(proxy_url, toy_index, [SALES, AGE], rerank=controls, **place)
        assert json.loads(page.body)["hits"]["total"] == {"value": NUM_DOCUMENTS, "relation": "eq"}
        found += ids(page)
        if len(found) == NUM_DOCUMENTS:
            break
    assert sorted(found) == sorted(map(str, range(NUM_DOCUMENTS)))


OWN_FIELDS: list[dict[str, Any]] = [
    {"docvalue_fields": ["sales"]},
    {"docvalue_fields": [{"field": "published", "format": "yyyy"}, "sa*"]},
    {"fields": ["sales", "published"]},
    {"fields": ["*"], "_source": False},
    {"docvalue_fields": ["n"]},
    {"fields": ["code"], "_source": ["n"]},
    {"highlight": {"fields": {"text": {}}}},
    {"_source": False},
]


@pytest.mark.parametrize("own", OWN_FIELDS, ids=str)
def test_the_clients_own_fields_are_as_opensearch_gives_them(
    client: OpenSearch, proxy_url: str, index: str, toy_index: ToyIndex, own: dict[str, Any]
) -> None:
    """In one request or in two; the doc values of signals are not shown unless the client asks for them."""
    plain = client.search(index=index, body={"query": toy_index.query, "size": NUM_DOCUMENTS, **own})
    wanted = {hit["_id"]: hit.get("fields") for hit in plain["hits"]["hits"]}
    for hit in wanted.values():
        if hit is not None:
            hit.pop("rerank.vector", None)
    for size in (5, NUM_DOCUMENTS):
        answer = run(proxy_url, toy_index, [SALES, AGE], **own, size=size)
        if size == NUM_DOCUMENTS and answer.rerank_status == "skipped; reason=docvalue_fields":
            continue  # the page is the whole window, so there is nothing to ask for apart
        assert "; signals=2; " in answer.rerank_status
        found = {hit["_id"]: hit.get("fields") for hit in hits_of(answer)}
        assert found == {key: wanted[key] or None for key in found}


@pytest.mark.parametrize("field", ["title", "hidden"])
def test_a_field_without_doc_values_is_said(
    proxy_url: str, index: str, toy_index: ToyIndex, field: str
) -> None:
    """Like a mistake in the settings it skips the search, and the cluster takes it for missing."""
    signal = SALES | {"field": field}
    answer = run(proxy_url, toy_index, [signal])
    assert answer.rerank_status == "skipped; reason=doc_values"
    assert ids(answer) == ids(run(proxy_url, toy_index, [], rerank={"enabled": False}))
    there = run(proxy_url, toy_index, [signal], rerank={"execution": "cluster"})
    assert ids(there) == ids(run(proxy_url, toy_index, [], rerank={"execution": "cluster"}))


def test_an_index_that_lacks_the_field_counts_as_missing(
    proxy_url: str, index: str, toy_index: ToyIndex
) -> None:
    both = f"{index},{LACKING}"
    answer = run(proxy_url, toy_index, [SALES], both, rerank={"explain": True}, size=100)
    assert "; signals=1; " in answer.rerank_status
    lacking = [hit["_rerank"]["signals"][0] for hit in hits_of(answer) if hit["_index"] == LACKING]
    assert lacking
    for each in lacking:
        assert (each["value"], each["factor"]) == (None, pytest.approx(math.exp(2)))


def test_a_factor_too_large_for_a_score_is_for_the_proxy(
    proxy_url: str, index: str, toy_index: ToyIndex
) -> None:
    heavy = [SALES | {"weight": 10}] * 8
    answer = run(proxy_url, toy_index, heavy, rerank={"execution": "cluster"})
    assert answer.rerank_status.endswith("; execution=sidecar; fallback=fusion")


def test_an_item_of_several_searches_is_the_single_one(
    proxy_url: str, index: str, toy_index: ToyIndex
) -> None:
    signals = {"rerank": {"fusion": {"signals": [SALES, AGE]}}}
    body = {"query": toy_index.query, "size": 20, "ext": signals}
    asked = body | {"fields": ["sales"]}
    several = msearch(proxy_url, lines({"index": index}, body, {"index": index}, asked))
    assert several.rerank_status.endswith("items=0:applied,1:docvalue_fields")
    single = search(proxy_url, index, body)
    assert items(several)[0]["hits"] == json.loads(single.body)["hits"]


def test_a_filtered_answer_shows_what_it_would(proxy_url: str, index: str, toy_index: ToyIndex) -> None:
    signals = {"rerank": {"fusion": {"signals": [SALES, AGE]}}}
    body = {"query": toy_index.query, "size": 20, "ext": signals}
    whole, some = (search(proxy_url, index, body, each) for each in ("", "?filter_path=hits.hits._id"))
    assert "; signals=2; " in some.rerank_status
    wanted = [{"_id": key} for key in ids(whole)]
    assert json.loads(some.body) == {"hits": {"hits": wanted}}
