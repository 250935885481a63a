"""Clients that send a byte now and then, or nothing: searches are answered as if they were not there."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugin.harness.proxy_process import free_port, running_proxy
from plugin.server.buffered_request import MAX_HELD_BYTES
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_http import search
from tests.support.http.tls_relay import make_certificates
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import ROOT, TINY_BUNDLE

pytestmark = pytest.mark.live

JSON = {"Content-Type": "application/json"}
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


@pytest.fixture(scope="module", params=CORES)
def slow_proxy(
    request: pytest.FixtureRequest, opensearch_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield a proxy of one worker, so that every slow client is that one's."""
    folder: Path = tmp_path_factory.mktemp("slow")
    arguments = ["--workers", "1", *core_arguments(request.param)]
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
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
        patient = http.client.HTTPConnection(urlsplit(slow_proxy).netloc, timeout=20)  # in turn: 40 s
        patient.request("GET", "/?filter_path=tagline")
        assert json.loads(patient.getresponse().read())
        patient.close()


def test_what_is_no_request_is_refused(slow_proxy: str) -> None:
    with connected(slow_proxy) as client:
        client.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("core", CORES)
def test_over_tls_a_handshake_that_is_never_finished_holds_nobody_up(
    opensearch_url: str, toy_index: ToyIndex, tmp_path: Path, core: str
) -> None:
    made = make_certificates(tmp_path)
    server = made.authority.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with tls_proxy(opensearch_url, tmp_path / "server.pem", core) as url, ExitStack() as opened:
        hello = b"\x16\x03\x01\x02\x00"  # the beginning of a handshake
        for client in [opened.enter_context(connected(url)) for _ in range(60)]:
            client.sendall(hello)
        target, body = f"/{toy_index.name}/_search", json.dumps({"query": toy_index.query})
        parts, context = urlsplit(url), ssl.create_default_context(cafile=made.ca)
        for _ in range(3):
            kept = http.client.HTTPSConnection("127.0.0.1", parts.port, context=context, timeout=60)
            for _ in range(3):
                kept.request("POST", target, body, JSON)
                answer = kept.getresponse()
                answer.read()
                assert answer.headers["Rerank-Status"].startswith("applied")
            kept.close()


@contextmanager
def tls_proxy(upstream: str, certificate: Path, core: str) -> Iterator[str]:
    """Run a proxy of one worker that speaks TLS with the certificate and key in a file."""
    port = free_port()
    where = ["--listen", f"127.0.0.1:{port}", "--upstream", upstream, "--bundle", str(TINY_BUNDLE)]
    files = ["--certfile", str(certificate), "--keyfile", str(certificate), "--workers", "1"]
    command = [sys.executable, "-m", "plugin", "serve", *where, *files, *core_arguments(core)]
    child = subprocess.Popen(command, cwd=ROOT)
    try:
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            threading.Event().wait(0.1)
        yield f"https://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(60)
