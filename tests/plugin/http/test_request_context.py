"""What belongs to one request: a client that disconnects while OpenSearch works, stages, and texts."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from plugin.http.request_context import (
    MAX_QUERIES,
    ClientDisconnectedError,
    RequestContext,
    await_readable,
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def client() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def server() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_an_answer_is_seen(client: Pair, server: Pair) -> None:
    server[1].sendall(b"x")
    await_readable(server[0], 10, client[0])


def test_a_client_that_sends_more_has_not_gone(client: Pair, server: Pair) -> None:
    client[1].sendall(b"the next request")
    with pytest.raises(TimeoutError):
        await_readable(server[0], 0.05, client[0])


def test_a_client_that_closes_ends_the_wait(client: Pair, server: Pair) -> None:
    threading.Timer(0.05, client[1].close).start()
    began_s = time.monotonic()
    with pytest.raises(ClientDisconnectedError):
        await_readable(server[0], 60, client[0])
    assert time.monotonic() - began_s < 30


def test_a_client_that_only_stops_sending_still_gets_a_quick_answer(client: Pair, server: Pair) -> None:
    client[1].shutdown(socket.SHUT_WR)
    threading.Timer(0.05, server[1].sendall, [b"x"]).start()
    await_readable(server[0], 60, client[0])


def test_what_must_be_finished_is_not_watched(client: Pair, server: Pair) -> None:
    client[1].close()
    context = RequestContext(0.5, client[0])
    finished = context.without_client()
    await_readable(server[0], 60, finished.client)
    assert (context.client, finished.client, finished.queued_s) == (client[0], None, 0.5)


def test_stages_that_come_again_add_up_and_the_total_is_last() -> None:
    context = RequestContext()
    for name in ("plan", "opensearch", "plan"):
        with context.without_client().stage(name):
            time.sleep(0.002)
    spent = context.stages_ms()
    assert list(spent) == ["plan", "opensearch", "total"]
    assert spent["plan"] >= 4
    assert spent["total"] >= spent["plan"] + spent["opensearch"] - 0.02, "each is rounded"
    assert [stage.name for stage in context.stages] == ["plan", "opensearch", "plan"]
    assert all(stage.started_ns < stage.ended_ns for stage in context.stages)


def test_a_stage_that_fails_is_timed_too() -> None:
    context = RequestContext()
    with pytest.raises(ValueError, match="x"), context.stage("read"):
        raise ValueError("x")
    assert list(context.stages_ms()) == ["read", "total"]


def test_query_texts_are_noted_up_to_a_limit() -> None:
    context = RequestContext()
    for number in range(2 * MAX_QUERIES):
        context.note_query(str(number))
    assert context.query_texts == [str(number) for number in range(MAX_QUERIES)]
