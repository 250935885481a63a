"""Searches of users with different rights: what each sees is what OpenSearch shows them."""

import json
from dataclasses import replace

import pytest
from opensearchpy import OpenSearch

from tests.secured.conftest import JSON, Secured
from tests.support.http.raw_http import RawAnswer, ask, basic, ids
from tests.support.indices.toy_index import WINDOW

pytestmark = pytest.mark.live

OUR_FIELD = b"rerank"


def hits(answer: RawAnswer) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(answer.body)["hits"]["hits"]
    return found


def of_the_answer(answer: RawAnswer) -> tuple[int, dict[str, str], bytes]:
    """Return an answer without what the proxy adds."""
    own = ("rerank-status", "server-timing", "content-length")
    return answer.status, {k: v for k, v in answer.headers.items() if k not in own}, answer.body


def test_who_may_read_gets_the_order_that_the_vectors_give(secured: Secured) -> None:
    answer = secured.search("reader")
    assert answer.rerank_status.startswith(f"applied; window={WINDOW}; scored={WINDOW}; ")
    assert ids(answer) == secured.articles.expected_order()[:10]
    assert OUR_FIELD not in answer.body


@pytest.mark.parametrize("user", [None, "reader"])
@pytest.mark.parametrize(("method", "target", "body"), [
    ("POST", "/articles/_search", {"query": {"match": {"text": "x"}}}),
    ("POST", "/articles/_search", {"query": {"match": {"text": "x"}}, "ext": {"rerank": {"no_such_key": 1}}}),
    ("POST", "/_msearch", b'{"index":"articles"}\n{"query":{"match_all":{}},"ext":{"rerank":{"no":1}}}\n'),
    ("POST", "/articles/_search/template", {"source": {"query": {"match": {"text": "x"}}}}),
    ("GET", "/articles/_doc/1", None),
    ("GET", "/", None),
    ("PUT", "/articles/_doc/x", {"text": "x"}),
    ("POST", "/articles/_update/1", {"doc": {"text": "x"}}),
    ("GET", "/_cat/indices", None),
])  # fmt: skip
def test_missing_and_wrong_passwords_are_opensearchs_own_401(
    secured: Secured, user: str | None, method: str, target: str, body: object
) -> None:
    headers = JSON if user is None else JSON | basic(user, "wrong-password")
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    refused, expected = (ask(url, method, target, data, headers) for url in (secured.proxy_url, secured.url))
    assert expected.status == 401
    assert of_the_answer(refused) == of_the_answer(expected)
    assert refused.headers["www-authenticate"] == 'Basic realm="OpenSearch Security"'


@pytest.mark.parametrize("index", ["private", "no-such-index", "plain", "private,articles", "*"])
@pytest.mark.parametrize("ext", [{}, {"ext": {"rerank": {}}}, {"ext": {"rerank": {"no_such_key": 1}}}])
def test_a_forbidden_index_is_opensearchs_own_403_and_nothing_tells_whether_it_has_settings(
    secured: Secured, index: str, ext: dict[str, object]
) -> None:
    body = {"query": secured.articles.query, **ext}
    refused, other = (
        secured.through("nothing", "POST", f"/{name}/_search", body) for name in (index, "another-absent-one")
    )
    expected = secured.straight("nothing", "POST", f"/{index}/_search", body)
    assert expected.status == (400 if ext else 403)  # it reads the body first
    assert of_the_answer(refused) == of_the_answer(expected)
    assert refused.rerank_status == other.rerank_status


def test_a_forbidden_item_is_an_error_among_the_answers(secured: Secured) -> None:
    lines = b"".join(
        json.dumps(line).encode() + b"\n"
        for index in ("articles", "private", "no-such-index")
        for line in ({"index": index}, {"query": secured.articles.query})
    )
    answer = secured.through("reader", "POST", "/_msearch", lines)
    items = json.loads(answer.body)["responses"]
    expected = json.loads(secured.straight("reader", "POST", "/_msearch", lines).body)["responses"]
    assert (answer.status, [item["status"] for item in items]) == (200, [200, 403, 403])
    assert items[1:] == expected[1:]
    assert [hit["_id"] for hit in items[0]["hits"]["hits"]] == secured.articles.expected_order()[:10]


def test_hidden_documents_stay_hidden(secured: Secured) -> None:
    answer = secured.search("few", size=WINDOW)
    visible = {str(n) for n in range(40)}
    total = json.loads(answer.body)["hits"]["total"]
    assert set(ids(answer)) == visible
    assert total == {"value": 40, "relation": "eq"}
    assert answer.rerank_status.startswith("applied; window=40; scored=40; ")
    with OpenSearch(secured.url, http_auth=("few", secured.password("few")), timeout=60) as few:
        assert ids(answer) == replace(secured.articles, client=few).expected_order()


def test_hidden_documents_stay_hidden_in_the_cluster(secured: Secured) -> None:
    answer = secured.search("few", size=WINDOW, ext={"rerank": {"execution": "cluster"}})
    assert "execution=cluster" in answer.rerank_status
    assert set(ids(answer)) == {str(n) for n in range(40)}


@pytest.mark.parametrize("execution", ["sidecar", "cluster"])
def test_hidden_vectors_are_as_absent(secured: Secured, execution: str) -> None:
    answer = secured.search("no-vectors", size=20, ext={"rerank": {"execution": execution}})
    expected = json.loads(
        secured.straight(
            "no-vectors", "POST", "/articles/_search", {"query": secured.articles.query, "size": 20}
        ).body
    )["hits"]["hits"]
    assert [hit["_id"] for hit in hits(answer)] == [hit["_id"] for hit in expected]
    assert [hit["_source"] for hit in hits(answer)] == [hit["_source"] for hit in expected]
    assert OUR_FIELD not in answer.body
    if execution == "sidecar":
        assert answer.rerank_status == "skipped; reason=vectors"


def test_a_hidden_text_stays_hidden(secured: Secured) -> None:
    """Nobody finds by what they may not see; what they may see is given back without it."""
    body = {"query": {"match_all": {}}, "ext": {"rerank": {"query_context": {"query_text": "x"}}}, "size": 5}
    answer = secured.through("no-text", "POST", "/articles/_search", body)
    assert answer.status == 200
    assert all(set(hit["_source"]) == {"n"} for hit in hits(answer))  # type: ignore[call-overload]


def test_one_user_never_sees_what_anothers_search_left_behind(secured: Secured) -> None:
    """Caches of query vectors, settings and fields are warm with the reader's searches."""
    for pattern in ("articles", "art*", "*"):
        assert secured.search("reader", pattern).status in (200, 403)
    for _ in range(2):
        assert set(ids(secured.search("few", "art*", size=WINDOW))) == {str(n) for n in range(40)}
        assert secured.search("no-vectors", "art*").rerank_status == "skipped; reason=vectors"
        assert secured.search("nothing", "art*").status in (200, 403)
        assert ids(secured.search("reader", "art*")) == secured.articles.expected_order()[:10]
    assert b"private" not in secured.search("reader", "*").body


def test_a_right_that_is_taken_away_is_gone_at_once(secured: Secured) -> None:
    role = {"cluster_permissions": ["cluster_composite_ops"], "index_permissions": [
        {"index_patterns": ["articles"], "allowed_actions": ["indices:data/read*"]}]}  # fmt: skip
    secured.set_role("one-command", role)
    assert secured.search("one-command").status == 200
    role["index_permissions"] = []
    secured.set_role("one-command", role)
    answer = secured.search("one-command")
    assert answer.status == 403
    assert b"hits" not in answer.body


def test_who_asks_for_another_by_a_header_is_that_other(secured: Secured) -> None:
    """The plugin's own header has underscores, which gunicorn drops: the search would be the admin's."""
    for user, expected in (("few", 40), ("reader", 130)):
        headers = secured.headers("admin") | {"opendistro_security_impersonate_as": user}
        target = "/articles/_search?size=0&track_total_hits=true"
        answer = ask(secured.proxy_url, "GET", target, headers=headers)
        assert json.loads(answer.body)["hits"]["total"]["value"] == expected
    headers = secured.headers("admin") | {"opendistro_security_impersonate_as": "nothing"}
    for path in ("/articles/_search", "/_plugins/_rerank/settings/articles"):
        assert ask(secured.proxy_url, "GET", path, headers=headers).status == 403
