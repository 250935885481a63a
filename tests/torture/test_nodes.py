"""Searches over the shards of several nodes: each rescores its own, and no page loses a hit."""

import itertools
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from reranker.bundle import Bundle
from tests.support.cluster import Cluster
from tests.support.http.raw_http import ids, search
from tests.support.indices.window_index import NUM_HITS, make_window_index
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.cluster_requests import controls, hits_of, rescored

pytestmark = pytest.mark.live


def test_shards_on_several_nodes_are_rescored_where_they_are(cluster: Cluster, tmp_path: Path) -> None:
    with (
        OpenSearch(cluster.urls[0], timeout=120) as client,
        running_proxy(cluster.urls[1], tmp_path, bundle=TINY_BUNDLE) as proxy,
    ):
        index = make_window_index(client, Bundle.open(TINY_BUNDLE), "windows-on-nodes", 3)
        shards = client.cat.shards(index=index.name, format="json")
        assert len({shard["node"] for shard in shards}) > 1
        found = {hit["_id"]: hit["_score"] for hit in hits_of(rescored(proxy.url, index, size=2_000))}
        expected = index.rescored(100)
        assert found == {key: pytest.approx(score, rel=1e-5) for key, score in expected.items()}
        for execution in ("cluster", "sidecar"):
            pages = [
                ids(
                    search(
                        proxy.url,
                        index.name,
                        {"query": index.query, "from": start, "size": 170, **controls(execution)},
                    )
                )
                for start in range(0, NUM_HITS, 170)
            ]
            everything = list(itertools.chain.from_iterable(pages))
            assert len(everything) == len(set(everything)) == NUM_HITS
        client.indices.delete(index=index.name)
