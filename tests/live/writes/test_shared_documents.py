"""Two bundles over one document tower: both serve an index, each in the order of its own query tower."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from plugin.commands.field_policies import find_settings
from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.indices.toy_index import WINDOW, ToyIndex
from tests.support.other_bundle import hasty_bundle, other_bundle, voting_bundle
from tests.support.paths import TINY_BUNDLE
from tests.support.searches.expected_scores import Expected

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@pytest.fixture
def hasty(tmp_path: Path) -> Bundle:
    return hasty_bundle(tmp_path / "fast")


@pytest.fixture
def proxied(opensearch_url: str, hasty: Bundle) -> Iterator[Client]:
    with closing(Upstream(opensearch_url)) as upstream:
        yield Client(Proxy(upstream, Model.load(hasty)))


def test_another_query_tower_orders_the_same_vectors(
    proxied: Client, toy_index: ToyIndex, hasty: Bundle
) -> None:
    """The long query is cut after eight tokens by one of the two."""
    text = f"{toy_index.query_text} how to wait a second in the line of the file and to sort it is in"
    query = {"query": {"match": {"text": text}}, "size": 100}
    answer = proxied.post(f"/{toy_index.name}/_search", json=query, buffered=True)
    assert answer.headers["Rerank-Status"] == (
        "applied; window=100; scored=100; model=fast; bundle=fast@1; execution=sidecar"
    )
    found = [hit["_id"] for hit in json.loads(answer.data)["hits"]["hits"]]
    by_tower = {}
    for bundle in (hasty, toy_index.bundle):
        asked = ToyIndex(toy_index.client, toy_index.url, bundle, toy_index.name, 130, text)
        by_tower[bundle.name] = asked.expected_order()
    assert found == by_tower["fast"] != by_tower["tiny"]


def test_a_bundle_brings_feedback_and_smoothing_unless_the_index_says_otherwise(
    opensearch_url: str, toy_index: ToyIndex, tmp_path: Path
) -> None:
    expected = Expected(toy_index, toy_index.first_stage(WINDOW))
    with closing(Upstream(opensearch_url)) as upstream:
        proxied = Client(Proxy(upstream, Model.load(voting_bundle(tmp_path / "voting", 0.4, 0.6))))

        def found(**fusion: object) -> dict[str, float]:
            rerank = {"score": "fused", "fusion": fusion}
            query = {"query": toy_index.query, "size": WINDOW, "ext": {"rerank": rerank}}
            answer = proxied.post(f"/{toy_index.name}/_search", json=query, buffered=True)
            assert answer.headers["Rerank-Status"].startswith("applied")
            return {hit["_id"]: hit["_score"] for hit in json.loads(answer.data)["hits"]["hits"]}

        voted, plain = expected.with_feedback(0.4), expected.fused("log_linear")
        assert found() == pytest.approx(expected.smoothed(voted, 0.6), rel=1e-3)
        assert found(smoothing=0) == pytest.approx(voted, rel=5e-4)
        assert found(feedback=0) == pytest.approx(expected.smoothed(plain, 0.6), rel=1e-3)
        assert found(feedback=0, smoothing=0) == pytest.approx(plain, rel=5e-4)
        assert found(method="rrf") == pytest.approx(expected.fused("rrf"), rel=5e-4), "log_linear's alone"


def test_what_is_written_through_one_is_current_for_the_other(
    proxied: Client, client: OpenSearch, opensearch_url: str, hasty: Bundle, index_name: str
) -> None:
    enabled = proxied.post(f"/_plugins/_rerank/enable/{index_name}", json={"source_fields": ["text"]})
    assert enabled.json is not None
    assert enabled.json["indices"][index_name]["_meta"]["rerank"]["model"] == "tiny"
    proxied.put(f"/{index_name}/_doc/1?refresh=true", json={"text": "read a file"}, buffered=True)
    status = proxied.get(f"/_plugins/_rerank/status/{index_name}").json
    assert status is not None
    assert (status["coverage"], status["sample"]["current"]) == (1.0, 1)
    assert status["next"] == "Nothing: every document has a vector."
    with closing(OpenSearchClient(opensearch_url)) as upstream:
        index = metadata.find_write_index(upstream, index_name)
    assert find_settings(index, hasty) == find_settings(index, Bundle.open(TINY_BUNDLE))


def test_a_bundle_that_only_says_so_scores_nothing(
    toy_index: ToyIndex, opensearch_url: str, tmp_path: Path
) -> None:
    """The name opens the index; the tag in each vector decides."""
    stranger = other_bundle(tmp_path / "other", name="stranger", vectors_of="tiny")
    with closing(Upstream(opensearch_url)) as upstream:
        proxied = Client(Proxy(upstream, Model.load(stranger)))
        answer = proxied.post(f"/{toy_index.name}/_search", json={"query": toy_index.query}, buffered=True)
    assert answer.headers["Rerank-Status"] == "skipped; reason=vectors"
    plain = [hit["_id"] for hit in toy_index.first_stage(10)]
    assert [hit["_id"] for hit in json.loads(answer.data)["hits"]["hits"]] == plain
