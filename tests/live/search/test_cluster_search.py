"""`execution: cluster` on a real OpenSearch: order, pages, and one compiled script."""

import itertools
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch

from tests.support.http.raw_http import ids, search
from tests.support.indices.window_index import NUM_HITS, UNUSABLE, WindowIndex
from tests.support.searches.cluster_requests import controls, hits_of, rescored

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@pytest.fixture(params=[1, 3])
def index(request: pytest.FixtureRequest, one_shard: WindowIndex, three_shards: WindowIndex) -> WindowIndex:
    """Either of them."""
    return one_shard if request.param == 1 else three_shards


@pytest.mark.parametrize("window", [1, 100, 1_000, 10_000])
def test_each_shards_window_has_the_scores_of_the_formula(
    proxy_url: str, index: WindowIndex, window: int
) -> None:
    answer = rescored(proxy_url, index, size=2_000, **controls(window_size=window))
    found = {hit["_id"]: hit["_score"] for hit in hits_of(answer)}
    assert found == {key: pytest.approx(score, rel=1e-5) for key, score in index.rescored(window).items()}
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert json.loads(answer.body)["hits"]["max_score"] == max(found.values())
    name = index.bundle.name
    expected = f"applied; window={window}/shard; model={name}; bundle={name}@1; execution=cluster"
    assert answer.rerank_status == expected


@pytest.mark.parametrize("window", [100, 1_000])
def test_both_executions_give_the_same_order_on_one_shard(
    proxy_url: str, one_shard: WindowIndex, window: int
) -> None:
    """Documents whose fused scores differ by less than 1e-6 may change places, and only they."""
    only = {"bool": {"must": [one_shard.query], "must_not": [{"ids": {"values": list(UNUSABLE)}}]}}
    body = {"query": only, "size": 2_000}
    beside = controls("sidecar", window_size=window, explain=True)
    fused = {
        hit["_id"]: hit["_rerank"]["fused"]
        for hit in hits_of(search(proxy_url, one_shard.name, {**body, **beside}))
        if "_rerank" in hit
    }
    order = ids(search(proxy_url, one_shard.name, {**body, **controls(window_size=window)}))
    sidecar = ids(search(proxy_url, one_shard.name, {**body, **controls("sidecar", window_size=window)}))
    assert order[window:] == sidecar[window:]
    assert sorted(order[:window]) == sorted(fused)
    for higher, lower in itertools.pairwise(order[:window]):
        assert math.log(fused[higher]) > math.log(fused[lower]) - 1e-6


def test_hits_without_a_usable_vector_stay(proxy_url: str, index: WindowIndex) -> None:
    only = {"bool": {"must": [index.query], "filter": [{"ids": {"values": [*UNUSABLE, "1", "2"]}}]}}
    first = search(proxy_url, index.name, {"query": only, **controls(enabled=False)})
    plain = {hit["_id"]: hit["_score"] for hit in hits_of(first)}
    found = {hit["_id"]: hit["_score"] for hit in hits_of(rescored(proxy_url, index, query=only))}
    manifest = index.bundle.manifest
    neutral = math.exp(manifest.fusion.weight * (1 + manifest.neutral_crossing))
    assert found.keys() == plain.keys() == {*UNUSABLE, "1", "2"}
    for key in UNUSABLE:
        assert found[key] == pytest.approx(plain[key] * neutral, rel=1e-5)


def pages(proxy_url: str, index: WindowIndex, execution: str, window: int, sizes: list[int]) -> list[str]:
    """Return the ids of all pages, one after another, sized in turn as `sizes` says."""
    found: list[str] = []
    turn = itertools.cycle(sizes)
    while len(found) < NUM_HITS:
        size = min(next(turn), NUM_HITS - len(found))
        body = {"query": index.query, "from": len(found), "size": size, "_source": False}
        page = ids(search(proxy_url, index.name, {**body, **controls(execution, window_size=window)}))
        assert len(page) == size, "a page is never short"
        found += page
    return found


@pytest.mark.parametrize("execution", ["sidecar", "cluster"])
def test_all_pages_together_are_every_hit_once(
    proxy_url: str, index: WindowIndex, execution: str, *, is_long: bool
) -> None:
    everything = {hit["_id"] for hit in index.first_stage()}
    assert len(everything) == NUM_HITS

    @settings(
        max_examples=200 if is_long else 6,
        deadline=None,
        derandomize=not is_long,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        window=st.sampled_from([1, 7, 100, 400, 1_000, 5_000]),
        sizes=st.lists(st.integers(40, 700), min_size=1, max_size=3),
    )
    def each_once(window: int, sizes: list[int]) -> None:
        found = pages(proxy_url, index, execution, window, sizes)
        assert len(set(found)) == len(found)
        assert set(found) == everything

    each_once()


def test_pages_beyond_the_window_carry_the_clause(proxy_url: str, three_shards: WindowIndex) -> None:
    whole = ids(rescored(proxy_url, three_shards, size=1_200, **controls(window_size=10)))
    body = {**controls(window_size=10), "from": 500, "size": 30}
    assert ids(rescored(proxy_url, three_shards, **body)) == whole[500:530]


def test_all_searches_share_one_compiled_script(
    proxy_url: str, client: OpenSearch, three_shards: WindowIndex
) -> None:
    def compilations() -> int:
        nodes = client.nodes.stats(metric="script")["nodes"]
        return sum(node["script"]["compilations"] for node in nodes.values())

    rescored(proxy_url, three_shards)
    before = compilations()
    words = three_shards.query_text.split()
    for number in range(8):
        other = {"match": {"text": " ".join(words * (1 + number))}}
        fusion = {"weight": number}
        answer = rescored(proxy_url, three_shards, query=other,
                          **controls(window_size=10 + number, fusion=fusion))  # fmt: skip
        assert f"window={10 + number}/shard" in answer.rerank_status
    assert compilations() == before
