"""More searches than can be reranked: every one is answered, and as many as possible are reranked."""

import random

import pytest
from opensearchpy import OpenSearch

from plugin.proxy_process import running_proxy
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from tests.benchmarks.open_loop import open_loop
from tests.benchmarks.overload import DEADLINE_MS, capacity
from tests.toy_index import index_body, make_toy_index


@pytest.mark.live
def test_under_twice_the_load_every_search_is_answered(
    client: OpenSearch, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory, is_long: bool
) -> None:
    """Counts alone: how fast it goes says `python -m tests.benchmarks.overload`."""
    seconds, bundle = (20.0 if is_long else 1.5), Bundle.open(DEFAULT_BUNDLE)
    toy = make_toy_index(client, opensearch_url, bundle, "overload", 30)
    meta = index_body(bundle, deadline_ms=DEADLINE_MS)["mappings"]["_meta"]
    client.indices.put_mapping(index=toy.name, body={"_meta": meta})
    drawn, words = random.Random(0), toy.query_text.split()

    def searches(count: int) -> list[object]:
        texts = (f"{drawn.choice(words)} {drawn.random()}" for _ in range(count))
        return [{"query": {"match": {"text": text}}} for text in texts]

    target, folder = f"/{toy.name}/_search", tmp_path_factory.mktemp("overload")
    with running_proxy(opensearch_url, folder, bundle=DEFAULT_BUNDLE) as proxy:
        rate = 2 * max(10.0, capacity(proxy.url, target, searches(100)))
        sent = searches(int(rate * seconds))
        answered = open_loop(proxy.url, target, sent, rate)
    assert (answered.faults, answered.statuses) == ({}, {200: len(sent)})
    assert answered.outcomes["applied"] > 0
    assert set(answered.outcomes) <= {"applied", "overloaded", "deadline"}
