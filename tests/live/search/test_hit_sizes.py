"""Fat hits are asked for only where they are shown, and the page is the same in one request and in two."""

import json
from contextlib import closing
from typing import Any

import pytest
from opensearchpy import OpenSearch, helpers
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.search.sidecar import WORTH_BYTES, HitSizes
from plugin.upstream.client import Upstream
from tests.support.indices.toy_index import ToyIndex, index_body

pytestmark = pytest.mark.opensearch_2_19


def test_of_an_unknown_target_nothing_is_known() -> None:
    assert not HitSizes().are_worth_leaving_out("/books/_search", 10_000)


def test_few_fat_hits_and_many_thin_ones_are_worth_the_same() -> None:
    sizes = HitSizes()
    sizes.record("/fat/_search", WORTH_BYTES, 10)
    sizes.record("/thin/_search", WORTH_BYTES, 1_000)
    assert sizes.are_worth_leaving_out("/fat/_search", 11)
    assert not sizes.are_worth_leaving_out("/fat/_search", 9)
    assert sizes.are_worth_leaving_out("/thin/_search", 1_001)
    assert not sizes.are_worth_leaving_out("/thin/_search", 999)


def test_the_average_moves_and_an_empty_answer_says_nothing() -> None:
    sizes = HitSizes()
    sizes.record("/a/_search", 100, 1)
    sizes.record("/a/_search", 0, 0)
    for _ in range(50):
        sizes.record("/a/_search", 2 * WORTH_BYTES, 1)
    assert sizes.are_worth_leaving_out("/a/_search", 1)


@pytest.mark.live
@pytest.mark.parametrize("extra", [
    {}, {"_source": ["n"]}, {"highlight": {"fields": {"text": {}}}}, {"fields": ["n"], "version": True},
    {"script_fields": {"d": {"script": "2 * doc['n'].value"}}, "_source": True},
    {"aggs": {"n": {"max": {"field": "n"}}}, "sort": ["_score"]},
], ids=json.dumps)  # fmt: skip
def test_the_second_search_asks_twice_and_answers_the_same(
    client: OpenSearch, toy_index: ToyIndex, index_name: str, extra: dict[str, Any]
) -> None:
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    found = [hit["_source"] for hit in toy_index.first_stage(30)]
    filler = "long " * (WORTH_BYTES // 200)
    actions = ({"_index": index_name, "_id": str(n), "_source": {"filler": filler, **source}}
               for n, source in enumerate(found))  # fmt: skip
    helpers.bulk(client, actions, refresh=True)
    with closing(Upstream(toy_index.url)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(toy_index.bundle)))

        def searched(body: dict[str, Any]) -> TestResponse:
            return proxy.post(
                f"/{index_name}/_search", json={"query": toy_index.query, **body}, buffered=True
            )

        plain = searched({"size": 5})
        once, twice = searched({"size": 100, **extra}), searched({"size": 5, "from": 2, **extra})
    assert "fetch;dur" not in plain.headers["Server-Timing"]
    assert "fetch;dur" not in once.headers["Server-Timing"]
    assert "fetch;dur" in twice.headers["Server-Timing"]
    whole, page = json.loads(once.data), json.loads(twice.data)
    assert page["hits"].pop("hits") == whole["hits"].pop("hits")[2:7]
    for answer in (whole, page):
        del answer["took"]
    assert page == whole
