"""One search in the many spellings that OpenSearch takes: the same page, reranked, or its own refusal."""

import json
from typing import Any

import pytest

from opensearch.rawjson.lenient_values import read_whole_number, read_whole_number_of_url
from tests.support.http.raw_http import RawAnswer, ask, ids
from tests.support.indices.toy_index import ToyIndex

JSON = {"Content-Type": "application/json"}
SOURCES: list[Any] = ["true", "false", "*", [], {}]
FROMS: list[Any] = [1.0, "1", "1.9", -0.5]
SORTS: list[Any] = [
    {"_score": "DESC"}, [{"_score": {"order": "Desc"}}], {}, [{}], ["_score", {}], {"_score": {}},
]  # fmt: skip


@pytest.mark.parametrize(("value", "number"), [
    (10, 10), (10.0, 10), (10.9, 10), (-0.5, 0), ("10", 10), (" 1e1 ", 10), ("+2", 2), ("2d", 2), (".5", 0),
    (True, None), (None, None), ([1], None), ("", None), ("ten", None), ("0x2", None), ("1_0", None),
    ("NaN", None), (2**31, None), ("1e400", None), ("\N{ARABIC-INDIC DIGIT THREE}", None),
])  # fmt: skip
def test_a_bodys_number(value: object, number: int | None) -> None:
    assert read_whole_number(value) == number


@pytest.mark.parametrize(("text", "number"), [
    ("10", 10), ("+2", 2), ("-1", -1), ("02", 2), ("\N{ARABIC-INDIC DIGIT THREE}", 3),
    ("2.0", None), (" 2", None), ("", None), ("1e1", None), ("9" * 5_000, None), ("2147483648", None),
])  # fmt: skip
def test_a_number_of_the_url(text: str, number: int | None) -> None:
    assert read_whole_number_of_url(text) == number


BODIES: list[dict[str, Any]] = [
    *({"size": value} for value in (3.0, 3.9, "3", "3.0", " 3e0 ", "+3", "3f")),
    *({"size": 3, "from": value} for value in FROMS),
    *({"size": 3, "sort": value} for value in SORTS),
    *({"size": 3, "explain": value} for value in ("true", "false", "")),
    *({"size": 3, "track_total_hits": value} for value in ("true", "false", 5.0, "5", -1)),
    *({"size": 3, "_source": value} for value in SOURCES),
    *({"size": 3, name: "true"} for name in ("version", "seq_no_primary_term", "track_scores", "profile")),
    *({"size": 3, name: value} for name, value in [
        ("terminate_after", "500"), ("min_score", "0.000001"), ("ext", {}),
    ]),
    *({"size": 3, "rescore": {"window_size": value, "query": {"rescore_query": {"match_all": {}}}}}
      for value in ("20", 20.0, "20.5")),
]  # fmt: skip
URLS = [
    "?size=%2B3", "?size=03", "?size=%D9%A3", "?size=7&size=3", "?from=-0&size=3",
    *(f"?size=3&sort={value}" for value in (
        "_score:desc", "_score:DESC", "_score:", "n:DESC", "_score,", "_score,,", ",", "n&sort=_score",
        "_score:+desc",
    )),
    *(f"?size=3&explain{value}" for value in ("", "=", "=true", "=false")),
    *(f"?size=3&rest_total_hits_as_int{value}" for value in ("", "=", "=true", "=false")),
    *(f"?size=3&track_total_hits={value}" for value in ("true", "false", "7", "-1")),
    "?size=3&search_type=dfs_query_then_fetch", "?size=3&pretty", "?size=3&pretty=", "?size=3&&",
]  # fmt: skip


def both(
    toy_index: ToyIndex,
    proxy_url: str,
    body: Any,  # noqa: ANN401  # any JSON
    parameters: str = "",
    **headers: str,
) -> list[RawAnswer]:
    data = body if isinstance(body, bytes) else json.dumps({"query": toy_index.query, **body}).encode()
    target = f"/{toy_index.name}/_search{parameters}"
    return [ask(url, "POST", target, data, {**JSON, **headers}) for url in (toy_index.url, proxy_url)]


def shown(answer: RawAnswer) -> dict[str, Any]:
    """Return what the order does not change: the names of the hits' members, and what is beside the hits."""
    body: dict[str, Any] = json.loads(answer.body)
    for name in ("took", "profile", "max_score"):
        body.pop(name, None)
    hits = body["hits"]["hits"]
    body["hits"]["hits"] = [(sorted(hit), sorted(hit.get("_source", {}))) for hit in hits]
    return body


def without_vector(shown: dict[str, Any]) -> dict[str, Any]:
    hits = shown["hits"]["hits"]
    shown["hits"]["hits"] = [(names, [name for name in source if name != "rerank"]) for names, source in hits]
    return shown


@pytest.mark.live
@pytest.mark.parametrize("body", BODIES, ids=json.dumps)
def test_a_spelling_in_the_body_is_reranked(
    proxy_url: str, toy_index: ToyIndex, body: dict[str, Any]
) -> None:
    straight, through = both(toy_index, proxy_url, body)
    plain = both(toy_index, proxy_url, {"size": 3, "from": int(float(body.get("from", 0)))})[1]
    assert straight.status == 200, straight.body
    assert through.rerank_status.startswith("applied"), through.rerank_status
    assert shown(through) == without_vector(shown(straight))
    if "rescore" not in body:
        assert ids(through) == ids(plain)


@pytest.mark.live
@pytest.mark.parametrize("parameters", URLS)
def test_a_spelling_in_the_url_is_reranked(proxy_url: str, toy_index: ToyIndex, parameters: str) -> None:
    straight, through = both(toy_index, proxy_url, {}, parameters)
    plain = both(toy_index, proxy_url, {"size": 3})[1]
    assert straight.status == 200, straight.body
    assert through.rerank_status.startswith("applied"), through.rerank_status
    assert shown(through) == without_vector(shown(straight))
    assert ids(through) == ids(plain)


@pytest.mark.live
@pytest.mark.parametrize("body", [
    {"size": True}, {"size": None}, {"size": [2]}, {"size": ""}, {"size": "0x2"}, {"size": -1}, {"from": "x"},
    {"size": 2**31}, {"sort": None}, {"sort": {"_score": None}}, {"sort": "_SCORE"}, {"sort": [["_score"]]},
    {"sort": {"_score": " desc"}}, {"sort": {"_score": {"order": None}}}, {"sort": "_score:desc"},
    {"explain": "TRUE"}, {"explain": 1}, {"track_total_hits": "TRUE"}, {"version": "on"}, {"_source": 1},
], ids=json.dumps)  # fmt: skip
def test_a_spelling_that_opensearch_refuses_is_its_own_refusal(
    proxy_url: str, toy_index: ToyIndex, body: dict[str, Any]
) -> None:
    straight, through = both(toy_index, proxy_url, body)
    assert straight.status == 400
    assert (through.status, through.body) == (straight.status, straight.body)


@pytest.mark.live
@pytest.mark.parametrize("parameters", [
    "?size=2.0", "?size=+2", "?size=", "?size=1e1", "?sort=_SCORE", "?sort=,_score", "?sort=_score+",
    "?explain=TRUE", "?search_type=DFS_QUERY_THEN_FETCH", "?track_total_hits=", "?SIZE=2",
    "?rest_total_hits_as_int=1",
])  # fmt: skip
def test_a_spelling_in_the_url_that_opensearch_refuses(
    proxy_url: str, toy_index: ToyIndex, parameters: str
) -> None:
    straight, through = both(toy_index, proxy_url, {}, parameters)
    assert straight.status == 400
    assert (through.status, through.body) == (straight.status, straight.body)


@pytest.mark.live
@pytest.mark.parametrize("headers", [
    {"Content-Type": "application/x-ndjson"},
    {"Content-Type": "application/JSON; charset=UTF-8"},
    {"Content-Type": "application/vnd.opensearch+json; compatible-with=3"},
    *({"Accept": value} for value in ("text/plain", "application/*", "text/html", "*", "a/json;q=0.1")),
], ids=str)  # fmt: skip
def test_headers_that_mean_json(proxy_url: str, toy_index: ToyIndex, headers: dict[str, str]) -> None:
    straight, through = both(toy_index, proxy_url, {"size": 3}, **headers)
    assert straight.status == 200
    assert through.rerank_status.startswith("applied")
    assert through.headers["content-type"] == straight.headers["content-type"]


@pytest.mark.live
def test_a_byte_order_mark_is_passed_over(proxy_url: str, toy_index: ToyIndex) -> None:
    body = b"\xef\xbb\xbf" + json.dumps({"query": toy_index.query, "size": 3}).encode()
    straight, through = both(toy_index, proxy_url, body)
    assert straight.status == 200
    assert through.rerank_status.startswith("applied")
    assert len(ids(through)) == 3


@pytest.mark.live
@pytest.mark.parametrize(("reason", "body"), [
    ("body", b'{"query":{"match_all":{}},/**/"size":3}'),
    ("body", '{"query":{"match_all":{}},"size":3}'.encode("utf-16")),
    ("sort_tie_breaker", {"sort": {"_score": "DESC", "n": "asc"}}),
    ("sort_tie_breaker", {"sort": ["_score", "_score"]}),
    ("sort", {"sort": {"_score": "ASC"}}),
    ("size", {"size": 0.9}),
], ids=str)  # fmt: skip
def test_what_is_not_reranked_says_why(
    proxy_url: str, toy_index: ToyIndex, reason: str, body: dict[str, Any] | bytes
) -> None:
    straight, through = both(toy_index, proxy_url, body)
    assert straight.status == 200
    assert through.rerank_status == f"skipped; reason={reason}"
    assert ids(through) == ids(straight)
