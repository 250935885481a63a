"""A worker without a file left accepts later what it cannot accept now, and ends for nothing."""

import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugin.harness.proxy_process import running_proxy
from tests.support.cores import CORES, core_arguments
from tests.support.http.raw_http import ask
from tests.support.http.raw_wire import kept_upstream
from tests.support.paths import TINY_BUNDLE
from tests.support.processes import children_of
from tests.support.waiting import until

REQUEST = b"GET /_plugins/_rerank/health/live HTTP/1.1\r\nHost: a\r\n\r\n"
NUM_CLIENTS = 20


@contextmanager
def few_files(pid: int) -> Iterator[None]:
    """Leave a process three further files."""
    usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (highest + 4, usual[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)


@pytest.mark.parametrize("core", CORES)
def test_connections_wait_until_there_are_files_again(tmp_path: Path, core: str) -> None:
    arguments = ["--workers", "1", *core_arguments(core)]
    with (
        kept_upstream() as upstream,
        running_proxy(upstream.url, tmp_path, bundle=TINY_BUNDLE, arguments=arguments) as proxy,
        ExitStack() as opened,
    ):
        ask(proxy.url, "GET", "/_count")  # what is imported late has been
        before, log = children_of(proxy.child.pid), tmp_path / "proxy.log"
        with few_files(before[0]):
            address = urlsplit(proxy.url)
            clients = [
                opened.enter_context(socket.create_connection((address.hostname, address.port), timeout=60))
                for _ in range(NUM_CLIENTS)
            ]
            for client in clients:
                client.sendall(REQUEST)
            until(lambda: "no connection can be accepted" in log.read_text(), "a warning")
        assert [client.recv(12) for client in clients] == [b"HTTP/1.1 200"] * NUM_CLIENTS
        assert children_of(proxy.child.pid) == before
        assert log.read_text().count("no connection can be accepted") < NUM_CLIENTS
