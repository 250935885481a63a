"""Pages on a real OpenSearch: together they are its own result set, each hit once and none missing."""

import base64
import http.client
import json
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch, helpers

from reranker.bundle import Bundle
from reranker.stored_vector import pack
from tests.support.indices.toy_index import index_body, known_words
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
CORPORA = {"pages-one": (1, 120), "pages-three": (3, 300), "pages-alike": (5, 90)}
"""Index -> shards and documents."""


class Searcher:
    """One kept connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def hits(self, index: str, body: dict[str, Any]) -> tuple[list[str], str]:
        """Return ids in order, and what `Rerank-Status` says."""
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", f"/{index}/_search", json.dumps(body).encode(), headers)
        answer = self._connection.getresponse()
        found = json.loads(answer.read())
        assert answer.status == 200, found
        return [hit["_id"] for hit in found["hits"]["hits"]], answer.headers.get("Rerank-Status", "")

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def words(client: OpenSearch) -> Iterator[list[str]]:
    """Make random corpora of few words, so that many scores are equal; yield those words."""
    bundle, chance = Bundle.open(TINY_BUNDLE), random.Random(3)
    chosen = known_words(bundle.path)[:12]
    for name, (shards, count) in CORPORA.items():
        body = index_body(bundle)
        body["settings"]["number_of_shards"] = shards
        client.indices.create(index=name, body=body)
        length = (2, 2) if name == "pages-alike" else (1, 12)
        actions = (
            {"_index": name, "_id": str(n), "_source": {
                "n": n, "text": " ".join(chance.choices(chosen, k=chance.randint(*length))),
                **_member(bundle, chance),
            }}
            for n in range(count)
        )  # fmt: skip
        helpers.bulk(client, actions, refresh=True)
    yield chosen
    client.indices.delete(index=",".join(CORPORA))


def _member(bundle: Bundle, chance: random.Random) -> dict[str, Any]:
    """Return a random vector; one in five documents has none, one in twenty a damaged one."""
    kind = chance.random()
    if kind < 0.2:
        return {}
    if kind < 0.25:
        return {"rerank": {"vector": "QUJD"}}
    values = np.random.default_rng(chance.randrange(10**6)).normal(size=(1, bundle.manifest.dim))
    unit = (values / np.linalg.norm(values)).astype(np.float32)
    packed = pack(unit, text_hash=chance.randrange(2**64), model_tag=bundle.model_tag)
    return {"rerank": {"vector": base64.b64encode(packed).decode()}}


CONTROLS = st.fixed_dictionaries(
    {"window_size": st.integers(1, 150)},
    optional={
        "fusion": st.sampled_from(["log_linear", "weighted", "rrf", "none"]).map(
            lambda name: {"method": name}
        ),
        "score": st.sampled_from(["first_stage", "fused", "probability"]),
    },
)
EXTRAS = st.sampled_from([{}, {}, {}, {"_source": False}, {"highlight": {"fields": {"text": {}}}}])


@pytest.fixture(scope="module")
def searchers(opensearch_url: str, proxy_url: str) -> Iterator[tuple[Searcher, Searcher]]:
    both = Searcher(opensearch_url), Searcher(proxy_url)
    yield both
    for each in both:
        each.close()


def test_all_pages_together_are_the_first_stages_hits(
    searchers: tuple[Searcher, Searcher], words: list[str], is_long: bool
) -> None:
    """Random documents, text, windows, fusions, and page edges anywhere."""
    straight, through = searchers
    num_applied = 0

    @settings(
        max_examples=2_500 if is_long else 200,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.sampled_from(sorted(CORPORA)), st.lists(st.sampled_from(words), min_size=1, max_size=4),
        st.integers(0, 250), st.integers(1, 300), CONTROLS, EXTRAS, st.lists(st.integers(1, 120), max_size=4),
    )  # fmt: skip
    def every_page(
        index: str,
        text: list[str],
        first: int,
        count: int,
        controls: dict[str, Any],
        extra: dict[str, Any],
        sizes: list[int],
    ) -> None:
        nonlocal num_applied
        some = {"range": {"n": {"gte": first, "lt": first + count}}}
        query = {"bool": {"must": [{"match": {"text": " ".join(text)}}], "filter": [some]}}
        everything, _ = straight.hits(index, {"query": query, "size": 1_000, "_source": False})
        found: list[str] = []
        for size in [*sizes, 400]:
            body = {"query": query, "from": len(found), "size": size, "ext": {"rerank": controls}, **extra}
            page, status = through.hits(index, body)
            assert len(page) == min(size, len(everything) - len(found)), status
            assert status.startswith(("applied;", "skipped; reason=vectors", "skipped; reason=beyond_window"))
            num_applied += status.startswith("applied")
            found += page
        assert sorted(found) == sorted(everything)
        window = controls["window_size"]
        assert sorted(found[:window]) == sorted(everything[:window])
        assert found[window:] == everything[window:]

    every_page()
    assert num_applied > 150


def test_one_page_is_a_cut_of_the_whole_order(searchers: tuple[Searcher, Searcher], words: list[str]) -> None:
    """However a page is cut, its hits stand where they stand in the one order of the window."""
    _, through = searchers
    body = {"query": {"match": {"text": " ".join(words[:2])}}, "ext": {"rerank": {"window_size": 60}}}
    whole, _ = through.hits("pages-three", {**body, "size": 100})
    for start in range(0, 60, 7):
        for size in (1, 7, 30):
            page, _ = through.hits("pages-three", {**body, "from": start, "size": size})
            assert page == whole[start : start + size]
