"""A client that goes while OpenSearch works: its request there is cut, so that the work is cancelled."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from plugin.http.client_presence import ClientGoneError, absent, await_readable, present

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
    with present(client[0]):
        await_readable(server[0], 10)


def test_a_client_that_sends_more_has_not_gone(client: Pair, server: Pair) -> None:
    client[1].sendall(b"the next request")
    with present(client[0]), pytest.raises(TimeoutError):
        await_readable(server[0], 0.05)


def test_a_client_that_closes_ends_the_wait(client: Pair, server: Pair) -> None:
    threading.Timer(0.05, client[1].close).start()
    began_s = time.monotonic()
    with present(client[0]), pytest.raises(ClientGoneError):
        await_readable(server[0], 60)
    assert time.monotonic() - began_s < 30


def test_a_client_that_only_stops_sending_still_gets_a_quick_answer(client: Pair, server: Pair) -> None:
    client[1].shutdown(socket.SHUT_WR)
    threading.Timer(0.05, server[1].sendall, [b"x"]).start()
    with present(client[0]):
        await_readable(server[0], 60)


def test_what_must_be_finished_is_not_watched(client: Pair, server: Pair) -> None:
    client[1].close()
    with present(client[0]), absent():
        await_readable(server[0], 60)
    with present(None):
        await_readable(server[0], 60)
