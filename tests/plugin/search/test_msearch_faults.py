"""`_msearch` on an upstream that misbehaves: which items are asked for again, and what the others get."""

import json
from contextlib import closing
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.http.scripted_upstream import (
    CLOSE,
    COMPLETE,
    UNFINISHED,
    http_answer,
    index_settings,
    patience_s,
    scripted,
)
from tests.support.paths import TINY_BUNDLE

QUERY = b'{"query":{"match":{"text":"wait"}}}'
WIDENED = b'{"query":{"match":{"text":"wait"}},"from":0,"size":100}'
SORTED = b'{"query":{"match":{"text":"wait"}},"sort":["n"]}'
OWN = {"the": "client's own"}
MAY_SEARCH = http_answer(200, COMPLETE)
"""What OpenSearch is asked before a wrong `ext.rerank` is told."""
HEADER = b'{"index":"books"}'


def lines(*bodies: bytes) -> bytes:
    return b"".join(HEADER + b"\n" + body + b"\n" for body in bodies)


def answered(*items: object) -> bytes:
    return http_answer(200, {"took": 1, "responses": [*items]})


def item(**changed: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    return {**COMPLETE, "status": 200, **changed}


def error(status: int) -> dict[str, Any]:
    return {"error": {"type": "some_exception", "root_cause": []}, "status": status}


def asked(
    *answers: bytes | None, body: bytes = lines(QUERY, SORTED, QUERY)
) -> tuple[TestResponse, list[bytes]]:
    """Send items to an index with settings; return the answer, and what OpenSearch was sent."""
    bodies: list[bytes] = []
    with (
        scripted(index_settings("sidecar"), *answers, bodies=bodies) as url,
        closing(Upstream(url, read_timeout_s=patience_s(answers))) as upstream,
    ):
        client = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        found = client.post("/_msearch", data=body, content_type="application/x-ndjson", buffered=True)
    return found, [body for body in bodies if body]


@pytest.mark.parametrize("failed", [
    error(500),
    error(400),
    error(503),
    item(timed_out=True),
    item(_shards={"failed": 1}),
    item(hits={}),
    [],
    7,
])  # fmt: skip
def test_an_item_whose_widened_search_failed_is_asked_for_again_alone(failed: object) -> None:
    found, sent = asked(answered(failed, item(n=1), item(n=2)), answered(OWN))
    assert found.json is not None
    assert found.json["responses"][0] == OWN
    assert [each.get("n") for each in found.json["responses"][1:]] == [1, 2]
    assert sent == [lines(WIDENED, SORTED, WIDENED), lines(QUERY)]
    assert found.headers["Rerank-Status"] == ("applied=1; skipped=2; items=0:upstream,1:sort,2:applied")


def test_several_are_asked_for_in_one_request_and_keep_their_places() -> None:
    again = answered({"own": 0}, {"own": 2})
    found, sent = asked(answered(error(500), item(n=1), error(500)), again)
    assert found.json is not None
    assert found.json["responses"] == [{"own": 0}, item(n=1), {"own": 2}]
    assert sent[1:] == [lines(QUERY, QUERY)]


@pytest.mark.parametrize("status", [401, 403, 429])
def test_an_item_that_is_refused_is_returned_and_not_repeated(status: int) -> None:
    found, sent = asked(answered(error(status), item(), item()))
    assert found.json is not None
    assert found.json["responses"][0] == error(status)
    assert len(sent) == 1
    reason = "upstream" if status == 429 else "not_enabled"  # nothing tells that the index has settings
    assert found.headers["Rerank-Status"] == f"applied=1; skipped=2; items=0:{reason},1:sort,2:applied"


def test_an_item_that_is_not_ours_is_never_repeated() -> None:
    found, sent = asked(answered(item(), error(500), item()))
    assert found.json is not None
    assert found.json["responses"][1] == error(500)
    assert len(sent) == 1


@pytest.mark.parametrize("status", [400, 429, 503])
def test_an_error_to_the_second_request_is_that_of_its_items(status: int) -> None:
    found, _ = asked(answered(error(500), item(n=1), item(n=2)), http_answer(status, error(status)))
    assert found.json is not None
    assert found.status_code == 200
    assert found.json["responses"] == [error(status), item(n=1), item(n=2)]


def test_a_second_answer_that_is_no_json_is_an_error_to_its_items() -> None:
    found, _ = asked(answered(error(500), item(), item()), http_answer(503, b"busy"))
    assert found.json is not None
    first = found.json["responses"][0]
    assert (first["status"], first["error"]["reason"]) == (503, "busy")


def test_an_upstream_that_goes_before_the_second_request_gives_the_clients_own_a_last_chance() -> None:
    found, sent = asked(answered(error(500), item(), item()), CLOSE, CLOSE, http_answer(200, OWN))
    assert (found.status_code, found.json) == (200, OWN)
    assert sent[-1] == lines(QUERY, SORTED, QUERY)
    assert found.headers["Rerank-Status"] == "applied=0; skipped=3; items=0:upstream,1:sort,2:upstream"


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_refusal_of_all_items_is_returned_and_not_repeated(status: int) -> None:
    found, sent = asked(http_answer(status, error(status)))
    assert (found.status_code, found.json) == (status, error(status))
    assert len(sent) == 1


@pytest.mark.parametrize("answer", [
    http_answer(500, error(500)),
    http_answer(400, error(400)),
    http_answer(200, b"{"),
    http_answer(200, {"took": 1}),
    answered(item(), item()),
    answered(item(), item(), item(), item()),
    UNFINISHED,
    None,
])  # fmt: skip
def test_a_fault_in_the_whole_answer_sends_the_clients_own(answer: bytes | None) -> None:
    found, sent = asked(answer, http_answer(200, OWN))
    assert (found.status_code, found.json) == (200, OWN)
    assert sent[-1] == lines(QUERY, SORTED, QUERY)
    assert found.headers["Rerank-Status"] == "applied=0; skipped=3; items=0:upstream,1:sort,2:upstream"


def test_the_clients_own_goes_without_ext_rerank_also_then() -> None:
    """OpenSearch does not know it, and would refuse every item for it."""
    with_ext = b'{"query":{"match":{"text":"wait"}},"ext":{"rerank":{"window_size":7}}}'
    wrong = b'{"ext":{"rerank":{"enabled":1}}}'
    found, sent = asked(
        MAY_SEARCH, http_answer(500, error(500)), answered(OWN, item(n=2)),
        body=lines(with_ext, wrong, QUERY),
    )  # fmt: skip
    assert found.json is not None
    assert [sent[0], sent[1]] == [lines(WIDENED.replace(b"100", b"10"), WIDENED), lines(QUERY, QUERY)]
    own, refused, last = found.json["responses"]
    assert (own, refused["status"], last) == (OWN, 400, item(n=2))
    assert found.headers["Rerank-Status"] == (
        "applied=0; skipped=2; refused=1; items=0:upstream,1:ext,2:upstream"
    )


def test_an_error_to_what_is_left_of_the_clients_own_is_returned() -> None:
    with_ext = b'{"query":{"match":{"text":"wait"}},"sort":["n"],"ext":{"rerank":{"window_size":7}}}'
    found, sent = asked(http_answer(503, error(503)), http_answer(400, error(400)), body=lines(with_ext))
    assert (found.status_code, found.json, len(sent)) == (400, error(400), 2)
    assert sent[0] == lines(SORTED)


def test_an_upstream_that_is_gone_is_a_502() -> None:
    found, _ = asked(CLOSE, CLOSE, CLOSE)
    assert found.status_code == 502
    assert json.loads(found.data)["error"]["type"] == "upstream_unreachable_exception"
