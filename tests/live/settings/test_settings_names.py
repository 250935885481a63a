"""Aliases, patterns, data streams, templates, indices made again: settings follow, seen by searches.

Everything is changed straight at OpenSearch, around the proxy; the proxy's answers meanwhile are watched:
each is a page of OpenSearch's own hits.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from opensearchpy import OpenSearch

from tests.support.http.raw_http import ids
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.settings.effect_bench import Bench
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
NUM_DOCUMENTS = 12


@pytest.fixture(scope="module")
def bench(client: OpenSearch, opensearch_url: str, proxy_url: str, toy_index: ToyIndex) -> Iterator[Bench]:
    made = Bench(client, opensearch_url, proxy_url, toy_index)
    yield made
    made.clear()


def made(bench: Bench, name: str, **settings: Any) -> str:  # noqa: ANN401
    """Make an index of that name with a few documents and their vectors."""
    bench.client.indices.create(index=name, body=index_body(bench.toy.bundle, **settings))
    bench.names.append(name)
    return bench.filled(name, bench.documents[:NUM_DOCUMENTS])


def bare(bench: Bench, name: str) -> str:
    """Make an index that was never enabled."""
    bench.client.indices.create(index=name, body={"settings": {"number_of_replicas": 0}})
    bench.names.append(name)
    return bench.filled(name, [{"text": each["text"]} for each in bench.documents[:NUM_DOCUMENTS]])


def follows(bench: Bench, name: str, words: str, num_hits: int = NUM_DOCUMENTS) -> None:
    """Wait until searches say so; until then, and then, each is a whole page."""

    def is_told() -> bool:
        answer = bench.answer(name, size=100)
        assert answer.status == 200, answer.body
        assert len(ids(answer)) == num_hits, answer.rerank_status
        return words in answer.rerank_status

    until(is_told, f"{words} of {name}")


def test_an_alias_that_moves_brings_the_other_indexs_settings(bench: Bench) -> None:
    old, new = made(bench, "names-old", window_size=10), made(bench, "names-new", window_size=20)
    alias = "names-alias"
    bench.client.indices.put_alias(index=old, name=alias)
    follows(bench, alias, "window=10;")
    move = [{"remove": {"index": old, "alias": alias}}, {"add": {"index": new, "alias": alias}}]
    bench.client.indices.update_aliases(body={"actions": move})
    follows(bench, alias, "window=12;")  # all its hits: 20 is more than there are
    bench.client.indices.put_alias(index=old, name=alias)
    follows(bench, alias, "window=20;", 2 * NUM_DOCUMENTS)  # both, and the newer one's settings


def test_a_pattern_follows_indices_that_come_and_go(bench: Bench) -> None:
    made(bench, "pattern-1", window_size=5)
    for pattern in ("pattern-*", "patter*-1,pattern-1*"):
        follows(bench, pattern, "window=5;")
    made(bench, "pattern-2", window_size=7)
    follows(bench, "pattern-*", "window=7;", 2 * NUM_DOCUMENTS)
    follows(bench, "pattern-*,-pattern-2", "window=5;")
    bare(bench, "pattern-3")
    follows(bench, "pattern-*", "skipped; reason=indices", 3 * NUM_DOCUMENTS)
    bench.client.indices.delete(index="pattern-3")
    follows(bench, "pattern-*", "window=7;", 2 * NUM_DOCUMENTS)
    meta = index_body(bench.toy.bundle, source_fields=["title"])["mappings"]["_meta"]
    bench.client.indices.put_mapping(index="pattern-1", body={"_meta": meta})
    follows(bench, "pattern-*", "skipped; reason=indices", 2 * NUM_DOCUMENTS)


def test_an_index_that_is_made_again_has_what_it_says_now(bench: Bench) -> None:
    name = made(bench, "names-again", window_size=5)
    follows(bench, name, "window=5;")
    bench.client.indices.delete(index=name)
    assert bench.answer(name).status == 404
    bare(bench, name)
    follows(bench, name, "skipped; reason=not_enabled")
    bench.client.indices.delete(index=name)
    made(bench, name, window_size=6)
    follows(bench, name, "window=6;")


def test_a_data_stream_searches_all_its_indices_as_the_newest_says(bench: Bench) -> None:
    """A template's change arrives with the next backing index, and with an index that a write makes."""
    name = "names-stream"

    def put_template(size: int) -> None:
        mappings = index_body(bench.toy.bundle, window_size=size)["mappings"]
        template = {"mappings": mappings, "settings": {"number_of_replicas": 0}}
        body = {"index_patterns": [name], "data_stream": {}, "template": template}
        bench.client.indices.put_index_template(name=name, body=body)

    def write(first: int) -> None:
        lines: list[dict[str, Any]] = []
        for n, each in enumerate(bench.documents[:NUM_DOCUMENTS]):
            lines += [{"create": {"_id": f"{first}-{n}"}}, {**each, "@timestamp": "2026-11-25T00:00:00Z"}]
        assert not bench.client.bulk(index=name, body=lines, refresh=True)["errors"]

    put_template(5)
    write(0)
    try:
        follows(bench, name, "window=5;")
        put_template(8)
        follows(bench, name, "window=5;")
        bench.client.indices.rollover(alias=name)
        write(1)
        follows(bench, name, "window=8;", 2 * NUM_DOCUMENTS)
        first = json.loads(bench.answer(f".ds-{name}-000001", size=100).body)["hits"]["hits"]
        assert len(first) == NUM_DOCUMENTS
    finally:
        bench.client.indices.delete_data_stream(name=name)
        bench.client.indices.delete_index_template(name=name)
