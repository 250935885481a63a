"""The page of both orders: what it shows, and that no document's text can do anything in it."""

import re
from html import unescape

import pytest
from opensearchpy import OpenSearch

from tests.raw_http import RawAnswer, ask
from tests.toy_index import ToyIndex

pytestmark = pytest.mark.live
PAGE = "/_plugins/_rerank/compare"


def page(url: str, index: str, text: str) -> RawAnswer:
    return ask(url, "GET", f"{PAGE}?index={index}&text={text.replace(' ', '+')}")


def columns(answer: RawAnswer) -> tuple[list[str], list[str]]:
    ids = re.findall(r"<small>(.*?)</small>", answer.body.decode())
    return ids[::2], ids[1::2]


def test_both_orders_stand_side_by_side(proxy_url: str, toy_index: ToyIndex) -> None:
    answer = page(proxy_url, toy_index.name, toy_index.query_text)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    straight, reranked = columns(answer)
    assert straight == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert reranked == toy_index.expected_order()[:10]
    assert "applied; window=100" in answer.body.decode()


def test_an_index_without_settings_shows_the_same_order_twice(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    client.index(index=index_name, id="1", body={"text": "alpha"}, refresh=True)
    answer = page(proxy_url, index_name, "alpha")
    assert columns(answer) == (["1"], ["1"])
    assert "not_enabled" in answer.body.decode()


def test_nothing_in_a_document_or_a_query_becomes_markup(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>'
    client.index(index=index_name, id="<b>1</b>", body={"text": f"alpha {evil}"}, refresh=True)
    answer = page(proxy_url, index_name, "alpha%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    shown = answer.body.decode()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "<b>" not in shown
    assert 'alert(\\"x\\")' in unescape(shown)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_form_stands_alone_at_first_and_errors_are_opensearchs(proxy_url: str) -> None:
    answer = ask(proxy_url, "GET", PAGE)
    assert (answer.status, b"<form>" in answer.body, b"<table>" in answer.body) == (200, True, False)
    assert page(proxy_url, "no-such-index", "x").status == 404
