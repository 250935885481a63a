"""The page of both orders: what it shows, and that no document's text can do anything in it."""

import json
import re
from contextlib import closing
from html import unescape
from urllib.parse import urlencode

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.admin.compare_page import MAX_ROWS
from plugin.admin.responses import BASIC_CHALLENGE
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from tests.support.api_client import NO_OPENSEARCH, model
from tests.support.http.one_answer import answering
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import ToyIndex

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
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
    assert 'alert("x")' in unescape(shown)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_form_stands_alone_at_first(proxy_url: str) -> None:
    answer = ask(proxy_url, "GET", PAGE)
    assert (answer.status, b"<form>" in answer.body, b"<table>" in answer.body) == (200, True, False)


def test_the_prefix_alone_leads_to_it(proxy_url: str) -> None:
    answer = ask(proxy_url, "GET", "/_plugins/_rerank/")
    assert (answer.status, answer.headers["location"]) == (302, "compare")


def check_error_page(answer: RawAnswer, status: int, text: str, *words: str) -> None:
    """Check that an error is a page: the status, what it says, and the form as it was filled in."""
    shown = unescape(answer.body.decode())
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert f'value="{text}"' in shown
    assert "<table>" not in shown
    error = shown.partition('role="alert">')[2].partition("</p>")[0]
    for word in words:
        assert word in error


@pytest.mark.parametrize(("index", "text", "status", "words"), [
    ("no-such-index", "alpha", 404, ("404", "no such index [no-such-index]")),
    ("..", "alpha", 400, ("expected the name of an index, found '..'",)),
    ("A B", "alpha", 404, ("no such index",)),
    ("-", "alpha", 404, ("no such index [-]",)),
    ("_all", '{"query', 400, ("read as a search body", "without the brace")),
    ("_all", "{1: 2}", 400, ("search body",)),
    ("_all", '{"query": {"nonsense": {}}}', 400, ("unknown query [nonsense]",)),
    ("_all", '{"size": "x"}', 400, ("OpenSearch answered 400",)),
])  # fmt: skip
def test_an_error_is_a_page_with_the_form_kept(
    proxy_url: str, index: str, text: str, status: int, words: tuple[str, ...]
) -> None:
    answer = ask(proxy_url, "GET", f"{PAGE}?{urlencode({'index': index, 'text': text})}")
    check_error_page(answer, status, text, *words)


def test_opensearch_that_is_away_is_a_page() -> None:
    with closing(Upstream(NO_OPENSEARCH)) as upstream:
        answer = Client(Proxy(upstream, model())).get(PAGE, query_string={"index": "a", "text": "alpha beta"})
    assert (answer.status_code, answer.content_type) == (502, "text/html; charset=utf-8")
    assert "OpenSearch cannot be asked" in answer.text
    assert 'value="alpha beta"' in answer.text


def test_a_pasted_body_is_run_as_one(proxy_url: str, toy_index: ToyIndex) -> None:
    body = {"query": toy_index.query, "size": 7, "from": 2}
    answer = ask(proxy_url, "GET", f"{PAGE}?{urlencode({'index': toy_index.name, 'text': json.dumps(body)})}")
    straight, reranked = columns(answer)
    assert straight == [hit["_id"] for hit in toy_index.first_stage(9)][2:]
    assert reranked == toy_index.expected_order()[2:9]
    shown = answer.body.decode()
    assert "it was run as a search body" in shown
    assert re.findall(r"<tr><td>(\d+)</td>", shown) == [str(place) for place in range(3, 10)]


def test_a_bodys_own_controls_hold_on_the_reranked_side_alone(proxy_url: str, toy_index: ToyIndex) -> None:
    body = {
        "query": toy_index.query,
        "ext": {"rerank": {"fusion": {"weight": 0, "feedback": 0, "smoothing": 0}}},
    }
    answer = ask(proxy_url, "GET", f"{PAGE}?{urlencode({'index': toy_index.name, 'text': json.dumps(body)})}")
    straight, reranked = columns(answer)
    assert straight == reranked == [hit["_id"] for hit in toy_index.first_stage(10)]
    assert "applied" in answer.body.decode()


def test_more_hits_than_the_page_shows_are_left_out_and_said_so(proxy_url: str, toy_index: ToyIndex) -> None:
    body = json.dumps({"query": {"match_all": {}}, "size": MAX_ROWS + 1})
    answer = ask(proxy_url, "GET", f"{PAGE}?{urlencode({'index': toy_index.name, 'text': body})}")
    assert "shows 100 hits of the 101" in answer.body.decode()
    assert len(columns(answer)[0]) <= MAX_ROWS


def test_a_search_without_hits_says_so(proxy_url: str, toy_index: ToyIndex) -> None:
    answer = page(proxy_url, toy_index.name, "qqqqqq")
    assert (answer.status, columns(answer)) == (200, ([], []))
    assert "No hits" in answer.body.decode()


def test_what_was_not_reranked_is_said_in_a_sentence(
    client: OpenSearch, proxy_url: str, index_name: str
) -> None:
    client.index(index=index_name, id="1", body={"text": "alpha"}, refresh=True)
    assert "Not reranked: this is OpenSearch" in page(proxy_url, index_name, "alpha").body.decode()


_JSON = {"Content-Type": "application/json"}
_BASIC = {"Content-Type": "text/plain", "WWW-Authenticate": 'Basic realm="OS"'}
DENIALS: list[tuple[int, dict[str, str], bytes, str]] = [
    (401, _BASIC, b"Unauthorized", "Unauthorized"),
    (401, {}, b"", "Unauthorized"),
    (401, _JSON, b'{"error":{"type":"t","reason":"who?"},"status":401}', "who?"),
    (401, {"WWW-Authenticate": "Negotiate"}, b"<html>no</html>", "<html>no</html>"),
    (403, {"Content-Type": "text/plain"}, b"no permissions for [search]", "no permissions for [search]"),
    (403, {}, b"", "Forbidden"),
    (500, {}, b"\xff\xfe", "500"),
    (503, {"Content-Type": "text/html"}, b"<h1>maintenance</h1>", "<h1>maintenance</h1>"),
    (200, {"Content-Type": "text/html"}, b"<h1>a login form</h1>", "expected OpenSearch's JSON"),
    (200, _JSON, b'{"tagline":"not a search"}', "expected OpenSearch's JSON"),
]
"""What may stand before or in OpenSearch's place: status, headers, body -> a word of the page's error."""


@pytest.mark.parametrize(("status", "headers", "body", "word"), DENIALS)
@pytest.mark.parametrize("path", [PAGE, "/_plugins/_rerank/explain/a"])
def test_what_is_no_answer_to_a_search_is_no_fault_of_ours(
    path: str, status: int, headers: dict[str, str], body: bytes, word: str
) -> None:
    """A 401 always asks for user and password, so that a browser shows its dialogue."""
    with answering(status, headers, body) as url, closing(Upstream(url)) as upstream:
        answer = Client(Proxy(upstream, model())).get(path, query_string={"index": "a", "text": "alpha"})
    assert answer.status_code in ((status, 502) if path == PAGE else (status, 400, 502, 503)), answer.text
    challenge = answer.headers.get("WWW-Authenticate")
    assert (challenge is not None) == (status == 401)
    if path == PAGE:
        assert answer.content_type == "text/html; charset=utf-8"
        assert word in unescape(answer.text)
        assert "<h1>a login" not in answer.text
        if status == 401:
            assert challenge == headers.get("WWW-Authenticate", BASIC_CHALLENGE)
