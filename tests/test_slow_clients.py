"""Clients that send a byte now and then, or nothing: searches are answered as if they were not there."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugin.proxy_process import running_proxy
from plugin.waiting_request import MAX_HELD_BYTES
from tests.conftest import TINY_BUNDLE
from tests.raw_http import search
from tests.toy_index import ToyIndex

pytestmark = pytest.mark.live

SLOW = 200
HEAD = b"POST /_count HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
BEGINNINGS = [
    b"",
    b"GET /_cluster/hea",
    HEAD + b"X-Long: ",
    HEAD + b"Content-Length: 40\r\n\r\n{",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{",
    HEAD + b"Content-Length: %d\r\n\r\n" % (2 * MAX_HELD_BYTES),
    HEAD + b"Content-Length: 40\r\nExpect: 100-continue\r\n\r\n",
]


@pytest.fixture(scope="module")
def slow_proxy(opensearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield a proxy of one worker, so that every slow client is that one's."""
    folder: Path = tmp_path_factory.mktemp("slow")
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
        yield proxy.url


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def test_hundreds_of_slow_clients_take_nothing_from_searches(slow_proxy: str, toy_index: ToyIndex) -> None:
    over = threading.Event()
    with ExitStack() as opened:
        clients = [opened.enter_context(connected(slow_proxy)) for _ in range(SLOW)]
        for number, client in enumerate(clients):
            client.sendall(BEGINNINGS[number % len(BEGINNINGS)])

        def drip() -> None:
            while not over.wait(0.5):
                for client in clients[1 :: len(BEGINNINGS)] + clients[2 :: len(BEGINNINGS)]:
                    client.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        answers = [search(slow_proxy, toy_index.name, {"query": toy_index.query}) for _ in range(40)]
        over.set()
        dripping.join()
        assert {(answer.status, answer.rerank_status[:7]) for answer in answers} == {(200, "applied")}
        late = clients[3]
        late.sendall(b'"query":{"match_all":{}}}' + b" " * 14)
        assert late.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_requests_in_pieces_and_one_behind_another_are_answered_in_order(slow_proxy: str) -> None:
    both = b"GET /?filter_path=tagline HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\n{}"
    for cut in (1, 30, len(both) - 1):
        with connected(slow_proxy) as client:
            client.sendall(both[:cut])
            threading.Event().wait(0.05)
            client.sendall(both[cut:])
            received = b""
            while b'"count"' not in received:
                received += client.recv(65536)
            assert received.count(b"HTTP/1.1 200 ") == 2
            assert received.index(b"tagline") < received.index(b'"count"')


def test_a_client_that_does_not_close_holds_up_nobody(slow_proxy: str) -> None:
    """Each connection that is over lingers for its client; the others are answered meanwhile."""
    with ExitStack() as opened:
        lingering = [opened.enter_context(connected(slow_proxy)) for _ in range(20)]
        for client in lingering:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for client in lingering:
            assert client.recv(15).startswith(b"HTTP/1.1 200")
        with connected(slow_proxy) as client:
            client.settimeout(20)  # one after another they would take 40 s
            client.sendall(b"GET /?filter_path=tagline HTTP/1.1\r\nHost: x\r\n\r\n")
            assert json.loads(client.recv(65536).partition(b"\r\n\r\n")[2])


def test_what_is_no_request_is_refused(slow_proxy: str) -> None:
    with connected(slow_proxy) as client:
        client.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")
