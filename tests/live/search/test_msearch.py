"""`_msearch` through the proxy on a real OpenSearch: each item as its single search, the others untouched."""

import gzip
import json
import re
from typing import Any

import pytest
from opensearchpy import OpenSearch

from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_index import WINDOW, ToyIndex, index_body
from tests.support.searches.several_searches import (
    NDJSON,
    item_ids,
    items,
    lines,
    msearch,
    raw_items,
    timeless,
)

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
PLAIN = "msearch-plain"


@pytest.fixture(scope="module")
def plain_index(client: OpenSearch) -> str:
    """An index without settings, with one document."""
    client.indices.delete(index=PLAIN, ignore_unavailable=True)
    client.index(index=PLAIN, id="1", body={"text": "a plain text", "price": 1}, refresh=True)
    return PLAIN


BODIES: list[dict[str, Any]] = [
    {},
    {"from": 5, "size": 3},
    {"from": 95, "size": 12},
    {"size": 130, "_source": False},
    {"_source": ["n"]},
    {"highlight": {"fields": {"text": {}}}},
    {"aggs": {"most": {"max": {"field": "n"}}}, "track_total_hits": False},
    {"explain": True, "size": 2},
    {"docvalue_fields": ["n"], "version": True},
    {"collapse": {"field": "n"}},
    {"ext": {"rerank": {"window_size": 20, "explain": True}}},
    {"ext": {"rerank": {"fusion": {"method": "rrf"}, "query_context": {"query_text": "file"}}}},
    {"min_score": 0.3, "track_scores": True},
]


def test_each_item_is_what_the_single_search_says(proxy_url: str, toy_index: ToyIndex) -> None:
    bodies = [{"query": toy_index.query, **extra} for extra in BODIES]
    answer = msearch(proxy_url, lines(*(part for body in bodies for part in ({"index": "toy"}, body))))
    assert answer.rerank_status == f"applied={len(BODIES)}; skipped=0; items=0-{len(BODIES) - 1}:applied"
    for body, item in zip(bodies, items(answer), strict=True):
        single = json.loads(search(proxy_url, "toy", body).body)
        assert item.pop("status") == 200
        item["took"] = single["took"]
        assert item == single
    assert item_ids(items(answer)[0]) == toy_index.expected_order()[:10]


@pytest.mark.parametrize("parameters", ["", "?pretty", "?rest_total_hits_as_int=true&typed_keys"])
def test_what_is_not_reranked_keeps_its_bytes_and_its_place(
    proxy_url: str, toy_index: ToyIndex, plain_index: str, parameters: str
) -> None:
    """Indices with settings, without, and missing; our field is cut out where it is."""
    body = lines(
        {"index": plain_index}, b'{ "query" : {"match_all":{}}  }',
        {"index": "missing"}, {"query": toy_index.query},
        {"index": "toy"}, {"query": toy_index.query, "sort": ["n"], "size": 2},
        {"index": "toy"}, {"query": toy_index.query, "size": 4},
        {"index": plain_index}, {"query": {"query_string": {"query": "a AND ("}}},
        {"index": ["toy", plain_index]}, {"size": 0, "aggs": {"m": {"max": {"field": "n"}}}},
    )  # fmt: skip
    straight = msearch(toy_index.url, body, parameters)
    through = msearch(proxy_url, body, parameters)
    assert through.rerank_status == (
        "applied=1; skipped=5; items=0-1:not_enabled,2:sort,3:applied,4:not_enabled,5:indices"
    )
    theirs, ours = raw_items(straight), raw_items(through)
    theirs[2] = re.sub(rb',"rerank":\{"vector":"[^"]*"\}', b"", theirs[2])
    assert [ours[n] for n in (0, 1, 2, 4, 5)] == [theirs[n] for n in (0, 1, 2, 4, 5)]
    assert json.loads(ours[3])["hits"]["total"] == json.loads(theirs[3])["hits"]["total"]
    assert item_ids(json.loads(ours[3])) == toy_index.expected_order()[:4]
    assert through.body.startswith(b'{\n  "took" : ' if parameters == "?pretty" else b'{"took":')
    assert through.body.endswith(b"\n  ]\n}\n" if parameters == "?pretty" else b"]}")


def test_our_field_is_cut_from_every_item_but_where_it_is_asked_for(
    proxy_url: str, toy_index: ToyIndex
) -> None:
    body = lines(
        {"index": "toy"}, {"sort": ["n"], "size": 2},
        {"index": "toy"}, {"sort": ["n"], "size": 2, "_source": ["rerank.vector"]},
        {"index": "toy"}, {"sort": ["n"], "size": 2, "docvalue_fields": ["rerank.*"]},
    )  # fmt: skip
    whole, asked, wildcard = items(msearch(proxy_url, body))
    for hit in (*whole["hits"]["hits"], *wildcard["hits"]["hits"]):
        assert hit["_source"].keys() == {"n", "text"}
        assert "fields" not in hit
    for hit in asked["hits"]["hits"]:
        assert hit["_source"]["rerank"]["vector"]
    more = body + lines({"index": "toy"}, {"query": toy_index.query})
    assert raw_items(msearch(proxy_url, more))[:3] == raw_items(msearch(proxy_url, body))


HEADERS: list[tuple[bytes, str]] = [
    (b'{"index":"toy"}', ""),
    (b'{"indices":["toy"]}', ""),
    (b"{}", "/toy"),
    (b" ", "/toy"),
    (b'{"index":"toy"}', "/missing"),
    (b'{"index":"to*","expand_wildcards":["open","hidden"]}', ""),
    (b'{"index":["toy","missing"],"ignore_unavailable":true,"allow_no_indices":true}', ""),
    (b'{"index":["toy","missing"],"ignoreUnavailable":true}', ""),
    (b'{"index":"toy","preference":"_local","routing":null}', ""),
    (b'{"index":"toy","search_type":"dfs_query_then_fetch","request_cache":true}', ""),
    (b'{"index":"toy","searchType":"query_then_fetch","allow_partial_search_results":false}', ""),
    (b'{"index":"toy","cancel_after_time_interval":"30s","ccs_minimize_roundtrips":false}', ""),
    (b'{"index":"toy","phase_took":true}', ""),
]


@pytest.mark.parametrize(("header", "indices"), HEADERS)
def test_a_header_says_what_the_url_of_a_single_search_would(
    proxy_url: str, toy_index: ToyIndex, header: bytes, indices: str
) -> None:
    body = lines(header, {"query": toy_index.query, "size": 5})
    straight, through = msearch(toy_index.url, body, "", indices), msearch(proxy_url, body, "", indices)
    if b"null" in header:
        assert through.rerank_status == "applied=0; skipped=1; items=0:routing"
        assert item_ids(items(through)[0]) == item_ids(items(straight)[0])
        return
    assert through.rerank_status == "applied=1; skipped=0; items=0:applied"
    assert item_ids(items(through)[0]) == toy_index.expected_order()[:5]
    assert items(through)[0].keys() == items(straight)[0].keys()


def test_parameters_of_the_url_hold_for_every_item(proxy_url: str, toy_index: ToyIndex) -> None:
    parameters = (
        "?max_concurrent_searches=1&pre_filter_shard_size=1&ccs_minimize_roundtrips=false&typed_keys"
        "&rest_total_hits_as_int=true&search_type=dfs_query_then_fetch&max_concurrent_shard_requests=2"
        "&ignore_unavailable=true"
    )
    body = lines({"index": "toy,missing"}, {
        "query": toy_index.query, "aggs": {"most": {"max": {"field": "n"}}},
    })  # fmt: skip
    straight, through = msearch(toy_index.url, body, parameters), msearch(proxy_url, body, parameters)
    assert through.rerank_status.startswith("applied=1;")
    assert items(through)[0]["hits"]["total"] == toy_index.num_documents
    assert items(through)[0]["aggregations"] == items(straight)[0]["aggregations"]


def test_a_wrong_ext_is_that_items_400_and_a_right_one_never_reaches_opensearch(
    proxy_url: str, toy_index: ToyIndex
) -> None:
    body = lines(
        {"index": "toy"}, {"query": toy_index.query, "ext": {"rerank": {"windw_size": 5}}},
        {"index": "toy"}, {"query": toy_index.query},
        {"index": "toy"}, {"query": toy_index.query, "sort": ["n"], "ext": {"rerank": {"window_size": 5}}},
    )  # fmt: skip
    answer = msearch(proxy_url, body)
    wrong, right, passed = items(answer)
    assert answer.rerank_status == "applied=1; skipped=1; refused=1; items=0:ext,1:applied,2:sort"
    assert (wrong["status"], wrong["error"]["type"]) == (400, "illegal_argument_exception")
    assert "ext.rerank.windw_size" in wrong["error"]["root_cause"][0]["reason"]
    assert item_ids(right) == toy_index.expected_order()[:10]
    assert item_ids(passed) == [str(n) for n in range(10)]
    only_wrong = items(msearch(proxy_url, lines({"index": "toy"}, {"ext": {"rerank": 1}})))
    assert [item["status"] for item in only_wrong] == [400]


MALFORMED = [
    b"",
    b"\n",
    b'{"index":"toy"}\n',
    b'{"index":"toy"}\n{"query":{"match_all":{}}}',
    b'{"index":"toy"}\n{"query":\n',
    b'{"index":\n{}\n',
    b'{"no_such_key":1}\n{"query":{"match":{"text":"file"}}}\n',
    b'{"index":"toy"}\n\n',
    b'{"index":"toy"}\n{"query":{"match":{"text":"file"}}}\n{"index":"toy"}\n{"query":{"nope":{}}}\n',
    b'{"index":"toy"}\n{"size":1,"size":2}\n',
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_opensearch_refuses_is_its_own_error(proxy_url: str, toy_index: ToyIndex, body: bytes) -> None:
    straight, through = msearch(toy_index.url, body), msearch(proxy_url, body)
    assert straight.status >= 400
    assert (through.status, through.body) == (straight.status, straight.body)
    assert "skipped" in through.rerank_status


@pytest.mark.parametrize("body", [
    b'{"index":"toy"}\r\n{"query":{"match":{"text":"file"}}}\r\n',
    b'{"index":"toy"}\n{"query":{"match":{"text":"file"}}}\n\n',
])  # fmt: skip
def test_rare_line_ends_are_read_as_opensearch_reads_them(
    proxy_url: str, toy_index: ToyIndex, body: bytes
) -> None:
    assert msearch(proxy_url, body).rerank_status == "applied=1; skipped=0; items=0:applied"


def test_comments_are_passed_on(proxy_url: str, toy_index: ToyIndex) -> None:
    body = lines({"index": "toy"}, b'{"query":{"match":{"text":"file"}}/* mine */}')
    straight, through = msearch(toy_index.url, body), msearch(proxy_url, body)
    assert through.rerank_status == "applied=0; skipped=1; items=0:body"
    assert item_ids(items(through)[0]) == item_ids(items(straight)[0])
    assert b"vector" in straight.body
    assert b"vector" not in through.body


def test_gzip_and_get(proxy_url: str, toy_index: ToyIndex) -> None:
    body = lines({"index": "toy"}, {"query": toy_index.query})
    packed = ask(proxy_url, "POST", "/_msearch", gzip.compress(body), {**NDJSON, "Content-Encoding": "gzip"})
    got = ask(proxy_url, "GET", "/_msearch", body, NDJSON)
    for answer in (packed, got):
        assert item_ids(items(answer)[0]) == toy_index.expected_order()[:10]


@pytest.mark.parametrize("filter_path", [
    "responses.hits.hits._id", "took,responses.hits.hits._source", "-responses.hits.hits._index",
])  # fmt: skip
def test_filter_path_is_passed_on_with_our_field_cut(
    proxy_url: str, toy_index: ToyIndex, filter_path: str
) -> None:
    body = lines(
        {"index": "toy"}, {"query": toy_index.query}, {"index": "missing"}, {}, {"index": "toy"}, {"size": 0}
    )
    straight = msearch(toy_index.url, body, f"?filter_path={filter_path}")
    through = msearch(proxy_url, body, f"?filter_path={filter_path}")
    assert through.rerank_status == "applied=0; skipped=3; items=0-2:filter_path"
    assert b"vector" not in through.body
    kept = re.sub(rb',"rerank":\{"vector":"[^"]*"\}', b"", timeless(straight.body))
    assert timeless(through.body) == kept


def test_a_point_in_time(client: OpenSearch, proxy_url: str, toy_index: ToyIndex) -> None:
    pit = client.create_pit(index="toy", params={"keep_alive": "1m"})["pit_id"]
    body = lines({}, {"query": toy_index.query, "pit": {"id": pit}})
    assert item_ids(items(msearch(proxy_url, body))[0]) == toy_index.expected_order()[:10]
    client.delete_pit(body={"pit_id": [pit]})


def test_five_hundred_items_keep_their_places_and_ten_thousand_hits_are_asked_for(
    proxy_url: str, toy_index: ToyIndex, plain_index: str
) -> None:
    """Every fifth is an item without settings; windows of 100 are used up by the first hundred others."""
    parts: list[Any] = []
    for n in range(500):
        if n % 5 == 4:
            parts += [{"index": plain_index}, {"size": 1, "_source": ["price"]}]
        else:
            parts += [
                {"index": "toy"},
                {"query": toy_index.query, "from": n % 90, "size": 2, "_source": ["n"]},
            ]
    answer = msearch(proxy_url, lines(*parts))
    found, order = items(answer), toy_index.expected_order()
    own = [hit["_id"] for hit in toy_index.first_stage(WINDOW)]
    assert answer.rerank_status.startswith("applied=100; skipped=400; items=0-3:applied,4:not_enabled,")
    assert "125-128:msearch_hits" in answer.rerank_status
    assert len(answer.rerank_status) < 1200
    reranked = [n for n in range(500) if n % 5 != 4][:100]
    for n, item in enumerate(found):
        if n % 5 == 4:
            assert item_ids(item) == ["1"]
        else:
            expected = order if n in reranked else own
            assert item_ids(item) == expected[n % 90 : n % 90 + 2]
    small = lines(*(part for _ in range(500) for part in (
        {"index": "toy"}, {"query": toy_index.query, "size": 3, "ext": {"rerank": {"window_size": 20}}},
    )))  # fmt: skip
    everything = msearch(proxy_url, small)
    assert everything.rerank_status == "applied=500; skipped=0; items=0-499:applied"
    expected = toy_index.expected_order(20)[:3]
    assert all(item_ids(item) == expected for item in items(everything))


def test_a_body_over_the_limit_is_passed_on_unread(proxy_url: str, toy_index: ToyIndex) -> None:
    long = {"query": {"match": {"text": "file " + " " * 10 * 1024 * 1024}}, "size": 1}
    answer = msearch(proxy_url, lines({"index": "toy"}, long))
    assert answer.rerank_status == "skipped; reason=body_size"
    assert answer.status == 200
    assert b"vector" not in answer.body


def test_on_failure_error_is_that_items_503(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(toy_index.bundle, on_failure="error"))
    client.index(index=index_name, body={"text": "no vector"}, refresh=True)
    query = {"query": {"match": {"text": "vector"}}}
    answer = msearch(
        proxy_url, lines({"index": index_name}, query, {"index": "toy"}, {"query": toy_index.query})
    )
    failed, fine = items(answer)
    assert (failed["status"], fine["status"]) == (503, 200)
    assert "reason=vectors" in failed["error"]["reason"]
    assert answer.rerank_status == "applied=1; skipped=1; items=0:vectors,1:applied"
