"""`python -m tests.benchmarks.slow_clients`: searches while hundreds of clients send a byte a second.

Through both cores of the proxy and through gunicorn's worker with threads, one worker process each.
"""

import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import click
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from opensearch.local.process import read_birth
from plugin.harness.proxy_process import HOST, _answers, free_port
from plugin.options.common import bundle_option
from plugin.server.gunicorn_app import WORKERS
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.options import upstream_option
from tests.benchmarks.overload import prepared, searches
from tests.benchmarks.report import machine_line
from tests.support.http.raw_http import search

KINDS = {**WORKERS, "gunicorn's own": "gthread"}
"""The class of a worker, by the name in the table."""

BEGINNINGS = {
    "no slow client": None,
    "slow heads": b"GET /_cluster/hea",
    "slow bodies": b"POST /_count HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n",
}
DOCUMENTS = 1_000
PATIENCE_S = 5.0
_SERVE = (
    "from plugin.commands.serve import serve_command; from plugin.server import gunicorn_app;"
    "made = gunicorn_app._build_options;"
    "gunicorn_app._build_options = lambda *a: {{**made(*a), 'worker_class': '{kind}'}}; serve_command()"
)


@contextmanager
def proxy_of(kind: str, upstream: str, bundle: Path, folder: Path) -> Iterator[str]:
    """Run a proxy with one worker of a kind."""
    port = free_port()
    arguments = [
        "--listen",
        f"{HOST}:{port}",
        "--upstream",
        upstream,
        "--bundle",
        str(bundle),
        "--workers",
        "1",
    ]
    with (folder / "proxy.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(kind=kind), *arguments], stdout=log, stderr=log
        )
        while not _answers(port) and read_birth(child.pid):
            threading.Event().wait(0.1)
        try:
            yield f"http://{HOST}:{port}"
        finally:
            child.kill()
            child.wait()


@contextmanager
def slow_clients(url: str, count: int, beginning: bytes) -> Iterator[None]:
    """Keep so many clients that have sent this much, and send a byte a second each."""
    parts, over = urlsplit(url), threading.Event()
    with ExitStack() as opened:
        clients = [
            opened.enter_context(socket.create_connection((parts.hostname, parts.port))) for _ in range(count)
        ]

        def drip() -> None:
            while not over.wait(1.0):
                for client in clients:
                    with suppress(OSError):
                        client.sendall(b" ")

        for client in clients:
            client.sendall(beginning)
        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            yield
        finally:
            over.set()
            dripping.join()


def search_times(url: str, index: str, count: int) -> tuple[list[float], int]:
    """Return milliseconds of each search on a connection of its own, and how many had no answer in time."""
    ms, num_late = [], 0
    for body in searches(count, 1):
        begin_s, done = perf_counter(), threading.Event()
        asked = threading.Thread(target=_asked, args=(url, index, body, done), daemon=True)
        asked.start()
        if done.wait(PATIENCE_S):
            ms.append((perf_counter() - begin_s) * 1000)
        else:
            num_late += 1
            if num_late == 3:
                break
    return ms, num_late


def _asked(url: str, index: str, body: object, done: threading.Event) -> None:
    with suppress(OSError):
        search(url, index, body)
        done.set()


@click.command()
@click.option("--clients", default=400, show_default=True, help="Slow clients.")
@click.option("--count", default=300, show_default=True, help="Searches in each case.")
@upstream_option
@bundle_option
def main(clients: int, count: int, upstream: str | None, bundle_path: Path) -> None:
    """Show what slow clients do to searches."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("worker", "beside", "answered", "none in 5 s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(name, justify="left" if name in ("worker", "beside") else "right")
    bundle = Bundle.open(bundle_path)
    with ExitStack() as running:
        upstream = running.enter_context(opensearch_at(upstream))
        index = prepared(upstream, bundle, DOCUMENTS)
        search_times(upstream, index, count)
        for worker, kind in KINDS.items():
            for beside, beginning in BEGINNINGS.items():
                ms, num_late = _measured(kind, upstream, bundle.path, index, clients, beginning, count)
                times = [f"{each:.1f}" for each in np.percentile(ms or [np.nan], [50, 95, 99])]
                table.add_row(worker, beside, str(len(ms)), str(num_late), *times)
    Console(highlight=False, width=140).print(machine_line(DOCUMENTS, "documents"), table, sep="\n")


def _measured(
    kind: str, upstream: str, bundle: Path, index: str, clients: int, beginning: bytes | None, count: int
) -> tuple[list[float], int]:
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        url = running.enter_context(proxy_of(kind, upstream, bundle, folder))
        search_times(url, index, 50)
        if beginning is not None:
            running.enter_context(slow_clients(url, clients, beginning))
        return search_times(url, index, count)


if __name__ == "__main__":
    main()
