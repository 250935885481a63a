"""Searches of our own tools are sent again if a busy machine leaves them unranked, and only then."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from plugin.compare.retry import (
    DEADLINE_MS,
    PAUSES_S,
    TRIES,
    is_due_to_load,
    parse_reason,
    retry_until_reranked,
    search_until_reranked,
    set_deadline,
)
from plugin.upstream.search_client import SearchClient

APPLIED = "applied; window=100; scored=97; model=m; bundle=m@1; execution=sidecar"
OVERLOADED, DEADLINE = "skipped; reason=overloaded", "skipped; reason=deadline"


@pytest.mark.parametrize(
    ("status", "reason", "due_to_load"),
    [
        (APPLIED, "", False),
        (OVERLOADED, "overloaded", True),
        (DEADLINE, "deadline", True),
        ("skipped; reason=sort", "sort", False),
        ("skipped;reason=sort; more=1", "sort", False),
        ("", "", False),
    ],
)
def test_the_reason_of_a_status(status: str, reason: str, due_to_load: bool) -> None:
    assert (parse_reason(status), is_due_to_load(status)) == (reason, due_to_load)


def asked(statuses: list[str], tries: int = TRIES) -> tuple[str, int, list[float]]:
    """Return the last status, how often was asked, and the pauses."""
    left, pauses = iter(statuses), list[float]()
    last = retry_until_reranked(lambda: next(left), parse_reason, tries=tries, sleep=pauses.append)
    return last, len(statuses) - len(list(left)), pauses


def test_it_is_asked_until_the_load_allows_it() -> None:
    statuses = [OVERLOADED, DEADLINE, APPLIED, APPLIED]
    assert asked(statuses) == (APPLIED, 3, [PAUSES_S["overloaded"], PAUSES_S["deadline"]])


def test_what_is_not_due_to_load_is_asked_once() -> None:
    assert asked(["skipped; reason=sort", APPLIED]) == ("skipped; reason=sort", 1, [])
    assert asked([APPLIED, APPLIED]) == (APPLIED, 1, [])


def test_the_last_answer_counts_after_so_many_tries() -> None:
    last, count, pauses = asked([OVERLOADED] * (TRIES + 2))
    assert (last, count, len(pauses)) == (OVERLOADED, TRIES, TRIES - 1)
    assert asked([OVERLOADED, APPLIED], tries=1) == (OVERLOADED, 1, [])


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, {"ext": {"rerank": {"deadline_ms": DEADLINE_MS}}}),
        (
            {"size": 3, "ext": {"other": 1}},
            {"size": 3, "ext": {"other": 1, "rerank": {"deadline_ms": 5_000}}},
        ),
        ({"ext": {"rerank": {"deadline_ms": 7}}}, {"ext": {"rerank": {"deadline_ms": 7}}}),
        ({"ext": {"rerank": 1}}, {"ext": {"rerank": 1}}),
        ({"ext": []}, {"ext": []}),
    ],
)
def test_a_deadline_is_added_unless_the_search_names_its_own(
    search: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = json.dumps(search)
    assert set_deadline(search) == expected
    assert json.dumps(search) == before


@contextmanager
def answering(statuses: list[str]) -> Iterator[tuple[SearchClient, list[dict[str, Any]]]]:
    """Yield a client of a server that answers with these statuses in turn, and the bodies that it got."""
    left, bodies = iter(statuses), list[dict[str, Any]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            content = b'{"hits":{"hits":[]}}'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Rerank-Status", next(left))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with SearchClient(f"http://127.0.0.1:{server.server_port}") as client:
            yield client, bodies
        server.shutdown()


def test_the_first_search_is_the_applications_own_and_later_ones_wait_longer() -> None:
    with answering([DEADLINE, DEADLINE, APPLIED]) as (client, bodies):
        answer, repeats = search_until_reranked(client, "i", {"size": 1})
    assert (answer.status, repeats) == (APPLIED, 2)
    assert bodies == [{"size": 1}, *[set_deadline({"size": 1})] * 2]


def test_a_search_that_was_reranked_is_sent_once() -> None:
    with answering([APPLIED]) as (client, bodies):
        answer, repeats = search_until_reranked(client, "i", {"size": 1})
    assert (answer.status, repeats, bodies) == (APPLIED, 0, [{"size": 1}])


def test_a_search_that_stays_unranked_is_given_up() -> None:
    with answering([DEADLINE] * 9) as (client, bodies):
        answer, repeats = search_until_reranked(client, "i", {}, tries=3)
    assert (answer.status, repeats, len(bodies)) == (DEADLINE, 2, 3)
