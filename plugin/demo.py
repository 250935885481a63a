"""The demo: real text on a real OpenSearch, a proxy in front of it, and a few searches sent both ways."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from opensearch.folders import make_folder
from opensearch.local_server import LocalServer
from plugin.both_orders import BothOrders, search_both
from plugin.docstrings import Documented, standard_library
from plugin.prepared_index import prepare_index
from plugin.proxy_process import DEFAULT_PORT, free_port, start_proxy, stop_proxy
from plugin.search_client import SearchClient
from reranker.bundle import Bundle

INDEX = "docstrings"
SOURCE_FIELDS = ("name", "text")
PAGE = 5
QUERIES = (
    "sleep for a while",
    "read a file line by line",
    "measure how long code takes",
    "how much free space is on the disk",
    "copy a folder with everything in it",
    "how many seconds since 1970",
    "run another program and get its output",
)
"""Chosen by looking at the results: six where the order gets better, and one where little changes."""

WARM_UP = tuple(
    f"{word} {thing}" for word in ("open", "close", "show") for thing in ("a door", "the list", "it")
)

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunningDemo:
    """What the demo left running, and what it found."""

    upstream: str
    proxy: str
    num_documents: int
    orders: Sequence[BothOrders]


def start_demo(
    home: Path, server: LocalServer, bundle: Bundle, *, limit: int | None, say: Say
) -> RunningDemo:
    """Start everything, index the docstrings and send the searches; `say` is told of each step.

    What this call started is stopped again where a later step fails or is interrupted.

    Raises:
        LocalServerError, ProxyError, SearchError, OpenSearchError: a step failed.
    """
    folder = demo_folder(home)
    make_folder(folder)
    with ExitStack() as started:
        with _step(say, "OpenSearch is ready"):
            upstream = _start_opensearch(server, started)
        with _step(say, "The docstrings of Python's standard library are collected"):
            documents = standard_library(limit)
            file = _write_lines(folder / "docstrings.jsonl", documents)
        with _step(say, f"{len(documents):,} documents are indexed, each with its vector"):
            prepare_index(upstream, INDEX, file, SOURCE_FIELDS, bundle=bundle)
        with _step(say, "The proxy is ready"):
            stop_proxy(folder)  # one of an earlier run may have other code or another OpenSearch
            started.callback(stop_proxy, folder)
            proxy = start_proxy(upstream, folder, port=free_port(DEFAULT_PORT), bundle=bundle.path)
        orders = search_all(upstream, proxy.url)
        started.pop_all()
    return RunningDemo(upstream, proxy.url, len(documents), orders)


def stop_demo(home: Path, server: LocalServer) -> list[str]:
    """Stop what the demo left running; return the names of what ran. The data stay."""
    stopped = [("the proxy", stop_proxy(demo_folder(home))), ("OpenSearch", server.stop())]
    return [name for name, ran in stopped if ran]


def demo_folder(home: Path) -> Path:
    """Return where the demo keeps its documents, its proxy's record and log."""
    return home / "demo"


def search_all(upstream: str, proxy: str, queries: Sequence[str] = QUERIES) -> list[BothOrders]:
    """Send every query both ways, after other ones that warm up connections and code, but no query's vector.

    Raises:
        SearchError: one of the two does not answer.
    """
    straight, proxied = SearchClient(upstream), SearchClient(proxy)
    try:
        for query in WARM_UP:
            search_both(straight, proxied, INDEX, query, search_body(query))
        return [search_both(straight, proxied, INDEX, query, search_body(query)) for query in queries]
    finally:
        straight.close()
        proxied.close()


def search_body(query: str) -> dict[str, Any]:
    """Return the search that both get: nothing in it is Twinrank's."""
    return {"query": {"multi_match": {"query": query, "fields": list(SOURCE_FIELDS)}}, "size": PAGE}


def _start_opensearch(server: LocalServer, started: ExitStack) -> str:
    status = server.status()
    server.http_port = status.http_port or free_port(server.http_port)
    if not status.running:
        started.callback(server.stop)
    return server.start()


def _write_lines(file: Path, documents: Sequence[Documented]) -> Path:
    draft = file.with_suffix(".new")
    draft.write_bytes(b"".join(msgspec.json.encode(document) + b"\n" for document in documents))
    return draft.replace(file)


@contextmanager
def _step(say: Say, done: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    say(f"{done} ({time.monotonic() - begin:.1f} s).")
