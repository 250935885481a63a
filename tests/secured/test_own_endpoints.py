"""Who may call the proxy itself: the table of docs/reference/http-api.md, asked of the real plugin."""

import json
from pathlib import Path

import pytest

from tests.secured.conftest import JSON, Secured
from tests.support.http.raw_http import ask, basic

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("only_long")]

OWN = "/_plugins/_rerank"
EVERYBODY = (None, "nothing", "reader", "writer", "admin")

TABLE: dict[tuple[str, str], dict[str | None, int]] = {
    ("GET", f"{OWN}/health"): dict.fromkeys(EVERYBODY, 200),
    ("GET", f"{OWN}/health/live"): dict.fromkeys(EVERYBODY, 200),
    ("GET", f"{OWN}/health/ready"): dict.fromkeys(EVERYBODY, 200),
    ("GET", f"{OWN}/metrics"): {None: 401, "nothing": 403, "reader": 403, "service": 200, "admin": 200},
    ("GET", f"{OWN}/settings/articles"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("GET", f"{OWN}/settings/private"): {None: 401, "reader": 403, "admin": 200},
    ("PUT", f"{OWN}/settings/articles"): {None: 401, "nothing": 403, "reader": 403, "writer": 200},
    ("POST", f"{OWN}/enable/articles"): {None: 401, "nothing": 403, "reader": 403, "writer": 200},
    ("POST", f"{OWN}/disable/private"): {None: 401, "nothing": 403, "reader": 403, "writer": 403},
    ("GET", f"{OWN}/status/articles"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("GET", f"{OWN}/explain/articles?text=and"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("GET", f"{OWN}/explain/private?text=and"): {None: 401, "reader": 403, "admin": 200},
    ("GET", f"{OWN}/"): dict.fromkeys(EVERYBODY, 200),
    ("GET", f"{OWN}/lab/lab.js"): dict.fromkeys(EVERYBODY, 200),
    ("GET", f"{OWN}/lab/indices/articles"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("GET", f"{OWN}/lab/indices/private"): {None: 401, "reader": 403, "admin": 200},
    ("POST", f"{OWN}/lab/search/articles"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("POST", f"{OWN}/lab/search/private"): {None: 401, "reader": 403, "admin": 200},
    ("GET", f"{OWN}/experiment/articles"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("PUT", f"{OWN}/experiment/articles?dry_run"): {None: 401, "nothing": 403, "reader": 200, "writer": 200},
    ("POST", f"{OWN}/enrich?index=articles"): {None: 401, "nothing": 403, "reader": 200, "admin": 200},
    ("POST", "/v1/rerank"): dict.fromkeys(EVERYBODY, 200),
    ("POST", "/v1/embeddings"): dict.fromkeys(EVERYBODY, 200),
    ("POST", "/rescore"): dict.fromkeys(EVERYBODY, 200),
}
"""Request -> the status for each caller; None has no password."""

BODIES: dict[str, object] = {
    f"{OWN}/enrich?index=articles": {"text": "and"},
    "/v1/rerank": {"query": "and", "documents": ["file"]},
    "/v1/embeddings": {"input": "and"},
    "/rescore": {"input": "and"},
    f"{OWN}/settings/articles": {"window_size": 100},
    f"{OWN}/lab/search/articles": {"text": "and"},
    f"{OWN}/lab/search/private": {"text": "and"},
    f"{OWN}/experiment/articles?dry_run": {"name": "autumn", "arms": {"control": "opensearch", "other": {}}},
}


@pytest.mark.parametrize(("method", "target"), TABLE)
def test_who_may_call_it(secured: Secured, method: str, target: str) -> None:
    body = None if method == "GET" else BODIES.get(target, {})
    found = {user: secured.through(user, method, target, body) for user in TABLE[method, target]}
    assert {user: answer.status for user, answer in found.items()} == TABLE[method, target], {
        user: answer.body[:200] for user, answer in found.items()
    }


LAB_SEARCH = f"{OWN}/lab/search"


def test_the_lab_shows_nothing_to_who_may_not_search(secured: Secured) -> None:
    found = [secured.through("reader", "POST", f"{LAB_SEARCH}/{name}", {"text": "and"})
             for name in ("private", "plain", "absent")]  # fmt: skip
    assert [answer.status for answer in found] == [403, 403, 403]
    assert all(b"security_exception" in answer.body for answer in found)


def test_the_lab_lists_only_what_its_user_may_see(secured: Secured) -> None:
    listed = {}
    for user in ("admin", "reader", "nothing"):
        answer = secured.through(user, "GET", f"{OWN}/lab/indices")
        assert answer.status == 200, answer.body
        listed[user] = {each["name"] for each in json.loads(answer.body)["indices"]}
    assert {"articles", "private"} <= listed["admin"]
    assert listed["reader"] <= {"articles"}
    assert listed["nothing"] == set()


@pytest.mark.parametrize("user", [None, "reader"])
def test_a_browser_asks_for_user_and_password(secured: Secured, user: str | None) -> None:
    """Without credentials, and with a wrong password; the page itself asks for none."""
    headers = {} if user is None else basic(user, "Wrong-secret-of-this-test-78")
    for method, target, body in (
        ("POST", f"{LAB_SEARCH}/articles", b'{"text": "and"}'),
        ("GET", f"{OWN}/lab/indices", None),
        ("GET", f"{OWN}/lab/indices/articles", None),
    ):
        answer = ask(secured.proxy_url, method, target, body, headers | JSON)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")
    page = ask(secured.proxy_url, "GET", f"{OWN}/", None, headers)
    assert (page.status, "www-authenticate" in page.headers) == (200, False)


def test_no_log_and_no_error_holds_a_credential(secured: Secured) -> None:
    """After requests with right and wrong ones to every kind of endpoint, and after all other tests here."""
    wrong = "Wrong-secret-of-this-test-77"
    headers = [basic("reader", wrong), {"Authorization": f"Bearer {wrong}"}, {"Cookie": wrong},
               {"Authorization": f"ApiKey {wrong}"}, {"Proxy-Authorization": wrong}]  # fmt: skip
    bodies = b""
    for (method, target) in (*TABLE, ("POST", "/articles/_search"), ("POST", "/articles/_update/1"),
                             ("POST", "/_bulk"), ("GET", "/_no_such")):  # fmt: skip
        for each in headers:
            answer = ask(secured.proxy_url, method, target, b"{}" if method != "GET" else None, each | JSON)
            bodies += answer.body + repr(answer.headers).encode()
    known = {wrong, *(secured.password(user) for user in ("admin", "service", "reader", "writer", "few"))}
    pairs = [(user, secured.password(user)) for user in ("admin", "service", "reader")]
    packed = {basic(*pair)["Authorization"][6:] for pair in (*pairs, ("reader", wrong))}
    told = Path(secured.proxy_log).read_bytes() + bodies
    assert len(told) > 1000
    assert [secret for secret in known | packed if secret.encode() in told] == []
