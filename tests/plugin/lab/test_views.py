"""The lab's data where OpenSearch is away, refuses, or is something else: a JSON error that says what."""

import json
from contextlib import closing

import pytest
from werkzeug.test import Client, TestResponse

from plugin.admin.responses import BASIC_CHALLENGE
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from tests.support.api_client import NO_OPENSEARCH, model
from tests.support.http.one_answer import answering

LAB = "/_plugins/_rerank/"
SEARCH, INDICES, INDEX = f"{LAB}lab/search/a", f"{LAB}lab/indices", f"{LAB}lab/indices/a"
EXPLAIN = f"{LAB}explain/a?text=alpha"

_JSON = {"Content-Type": "application/json"}
_BASIC = {"Content-Type": "text/plain", "WWW-Authenticate": 'Basic realm="OS"'}
DENIALS: list[tuple[int, dict[str, str], bytes, str]] = [
    (401, _BASIC, b"Unauthorized", "Unauthorized"),
    (401, {}, b"", "Unauthorized"),
    (401, _JSON, b'{"error":{"type":"t","reason":"who?"},"status":401}', "who?"),
    (401, {"WWW-Authenticate": "Negotiate"}, b"<html>no</html>", "<html>no</html>"),
    (403, {"Content-Type": "text/plain"}, b"no permissions for [search]", "no permissions for [search]"),
    (403, {}, b"", "Forbidden"),
    (500, {}, b"\xff\xfe", "\ufffd"),
    (503, {"Content-Type": "text/html"}, b"<h1>maintenance</h1>", "<h1>maintenance</h1>"),
    (200, {"Content-Type": "text/html"}, b"<h1>a login form</h1>", "expected OpenSearch's JSON"),
    (200, _JSON, b'{"tagline":"not a search"}', "expected OpenSearch's JSON"),
    (200, _JSON, b"[1]", "expected OpenSearch's JSON"),
]
"""What may stand before or in OpenSearch's place: status, headers, body -> a word of a search's error."""


def request(upstream: Upstream, path: str, body: object = None) -> TestResponse:
    """Ask one of the lab's endpoints; a search is of a text unless another body is given."""
    client = Client(Proxy(upstream, model()))
    if path != SEARCH:
        return client.get(path)
    return client.post(path, json={"text": "alpha"} if body is None else body)


def ask_nobody(path: str, body: object = None) -> TestResponse:
    with closing(Upstream(NO_OPENSEARCH)) as upstream:
        return request(upstream, path, body)


@pytest.mark.parametrize("path", [SEARCH, INDICES, INDEX, EXPLAIN])
@pytest.mark.parametrize(("status", "headers", "body", "word"), DENIALS)
def test_what_is_no_answer_of_opensearch_is_a_json_error(
    status: int, headers: dict[str, str], body: bytes, word: str, path: str
) -> None:
    """A 401 always asks for user and password, so that a browser shows its dialogue."""
    with answering(status, headers, body) as url, closing(Upstream(url)) as upstream:
        answer = request(upstream, path)
    if path == INDICES and status == 403:
        assert answer.json == {"indices": [], "is_listed": False}
        return
    assert answer.status_code in (status, 400, 502, 503), answer.text
    assert answer.status_code != 200
    assert answer.content_type == "application/json"
    assert answer.json is not None
    assert answer.json["error"]["reason"]
    challenge = answer.headers.get("WWW-Authenticate")
    assert (challenge is not None) == (status == 401)
    if path == SEARCH:
        assert answer.status_code == (502 if status == 200 else status)
        assert word in answer.json["error"]["reason"]
        if status == 401:
            assert challenge == headers.get("WWW-Authenticate", BASIC_CHALLENGE)


@pytest.mark.parametrize("path", [SEARCH, INDICES, INDEX])
def test_opensearch_that_is_away_is_said_in_words(path: str) -> None:
    answer = ask_nobody(path)
    assert answer.status_code == 502
    assert answer.json is not None
    assert "127.0.0.1:9" in answer.json["error"]["reason"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "a text or a search body"),
        ({"text": 7}, "lab.text: expected"),
        ({"texts": "a"}, "did you mean `text`?"),
        (["a"], "JSON object"),
    ],
)
def test_a_wrong_request_is_a_400_that_names_the_key(body: object, reason: str) -> None:
    answer = ask_nobody(SEARCH, body)
    assert answer.status_code == 400
    assert answer.json is not None
    assert reason in answer.json["error"]["reason"]


@pytest.mark.parametrize("index", ["..", "."])
def test_what_is_no_name_of_an_index_is_a_400(index: str) -> None:
    answer = ask_nobody(f"{LAB}lab/indices/%2e" if index == "." else f"{LAB}lab/indices/%2e%2e")
    assert answer.status_code == 400
    assert answer.json is not None
    assert "expected the name of an index" in answer.json["error"]["reason"]


def test_a_body_in_another_format_is_refused() -> None:
    """So no form of another site can send one: a browser asks this server first, and gets no permission."""
    with closing(Upstream(NO_OPENSEARCH)) as upstream:
        client = Client(Proxy(upstream, model()))
        answer = client.post(SEARCH, data=json.dumps({"text": "a"}), content_type="text/plain")
    assert answer.status_code == 400
    assert answer.json is not None
    assert "expected a body of Content-Type application/json" in answer.json["error"]["reason"]
