"""`ext` keys of plugins that this OpenSearch does not have: each is OpenSearch's own error."""

import json
import re
from typing import Any

import pytest

from opensearch.search.ext_keys import EXT_KEYS, ExtRule
from tests.support.http.raw_http import RawAnswer, ask, ids, search
from tests.support.indices.toy_index import ToyIndex
from tests.support.searches.several_searches import NDJSON, lines, msearch, raw_items

pytestmark = pytest.mark.live

KEYS = [*(key for key in EXT_KEYS if key != "ubi"), "a_key_of_some_plugin"]
TWO_REQUESTS: dict[str, Any] = {"highlight": {"fields": {"text": {}}}}
CLUSTER: dict[str, Any] = {"rerank": {"execution": "cluster"}}


def reason_for(key: str, *, in_cluster: bool = False) -> str:
    """Return the reason for a search with the key, which OpenSearch refuses if it gets there."""
    passes = {ExtRule.FIRST_STAGE} if in_cluster else {ExtRule.FIRST_STAGE, ExtRule.FINAL_ORDER}
    return key if EXT_KEYS.get(key) in passes else "upstream"


def placeless(answer: RawAnswer) -> str:
    """Return an error without the place in the body that it names."""
    return re.sub(r"\[\d+:\d+\]|\"(line|col)\":\d+", "", answer.body.decode())


@pytest.mark.parametrize("extra", [{}, TWO_REQUESTS], ids=["one request", "two requests"])
@pytest.mark.parametrize("key", KEYS)
def test_a_search_has_opensearchs_own_error(
    proxy_url: str, toy_index: ToyIndex, key: str, extra: dict[str, Any]
) -> None:
    body = {"query": toy_index.query, "ext": {key: {"a": 1}}, **extra}
    straight, through = (search(url, toy_index.name, body) for url in (toy_index.url, proxy_url))
    assert b"SearchExtBuilder" in straight.body
    assert (through.status, through.body) == (straight.status, straight.body) == (400, straight.body)
    assert through.rerank_status == f"skipped; reason={reason_for(key)}"


@pytest.mark.parametrize("key", [key for key, rule in EXT_KEYS.items() if rule is ExtRule.PAGE])
def test_a_key_of_each_hit_is_in_the_pages_request_alone(
    proxy_url: str, toy_index: ToyIndex, key: str
) -> None:
    """The window is answered, and the page refused."""
    answer = search(proxy_url, toy_index.name, {"query": toy_index.query, "ext": {key: {}}})
    assert answer.status == 400
    assert "read;dur=" in answer.headers["server-timing"]
    assert "fetch;dur=" in answer.headers["server-timing"]


@pytest.mark.parametrize("key", KEYS)
def test_in_the_cluster_and_beside_our_own_key_it_is_the_same_error(
    proxy_url: str, toy_index: ToyIndex, key: str
) -> None:
    body = {"query": toy_index.query, "ext": {key: {"a": 1}}}
    straight = search(toy_index.url, toy_index.name, body)
    through = search(proxy_url, toy_index.name, body | {"ext": {**CLUSTER, key: {"a": 1}}})
    assert (through.status, placeless(through)) == (400, placeless(straight))
    assert through.rerank_status == f"skipped; reason={reason_for(key, in_cluster=True)}"


@pytest.mark.parametrize("key", KEYS)
def test_several_searches_have_opensearchs_own_error(proxy_url: str, toy_index: ToyIndex, key: str) -> None:
    """OpenSearch refuses them all for one of them."""
    body = lines(
        {"index": "toy"},
        {"query": toy_index.query},
        {"index": "toy"},
        {"query": toy_index.query, "ext": {key: {}}},
    )
    straight, through = msearch(toy_index.url, body), msearch(proxy_url, body)
    assert (through.status, through.body) == (straight.status, straight.body) == (400, straight.body)
    words = f"upstream,1:{reason_for(key)}" if reason_for(key) != "upstream" else "upstream"
    assert words in through.rerank_status
    assert through.rerank_status.startswith("applied=0; skipped=2;")


@pytest.mark.parametrize("key", KEYS)
def test_a_template_has_opensearchs_own_error(proxy_url: str, toy_index: ToyIndex, key: str) -> None:
    body = json.dumps(template(toy_index, {"ext": {key: {}}})).encode()
    straight, through = (
        ask(url, "POST", "/toy/_search/template", body, NDJSON) for url in (toy_index.url, proxy_url)
    )
    assert b"SearchExtBuilder" in straight.body
    assert (through.status, placeless(through)) == (straight.status, placeless(straight))
    assert through.rerank_status == f"skipped; reason={reason_for(key)}"


@pytest.mark.parametrize("key", KEYS)
def test_of_several_templates_each_has_its_own_answer(proxy_url: str, toy_index: ToyIndex, key: str) -> None:
    """OpenSearch refuses only the template with the key."""
    header, refused = {"index": "toy"}, template(toy_index, {"ext": {key: {}}})
    body = lines(header, refused, header, template(toy_index, {"_source": ["n"]}))
    straight, through = (
        ask(url, "POST", "/_msearch/template", body, NDJSON) for url in (toy_index.url, proxy_url)
    )
    (error, page), (own_error, own_page) = raw_items(straight), raw_items(through)
    assert b"SearchExtBuilder" in error
    assert (own_error, own_page) == (error, page)
    assert through.rerank_status.startswith("applied=0; skipped=2;")


def template(toy_index: ToyIndex, members: dict[str, Any]) -> dict[str, Any]:
    source = {"query": {"match": {"text": "{{words}}"}}, **members}
    return {"source": source, "params": {"words": toy_index.query_text}}


@pytest.mark.parametrize("ext", [None, [], 5, "ubi"], ids=str)
def test_what_is_no_object_is_opensearchs_own_answer(
    proxy_url: str, toy_index: ToyIndex, ext: object
) -> None:
    body = {"query": toy_index.query, "ext": ext}
    straight, through = (search(url, toy_index.name, body) for url in (toy_index.url, proxy_url))
    assert through.status == straight.status
    assert through.rerank_status == "skipped; reason=ext"
    if straight.status == 200:
        assert ids(through) == ids(straight)
    else:
        assert through.body == straight.body
