"""The demo: real text on a real OpenSearch, a proxy in front of it, and a few searches sent both ways."""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from indexer.enricher import Outcome
from indexer.load.indexing import BATCH_DOCUMENTS
from indexer.load.summary import Summary
from opensearch.local.folders import make_folder
from opensearch.local.server import LocalServer
from plugin.compare.comparison import BothOrders, search_both
from plugin.demo.docstrings import Documented, read_standard_library
from plugin.harness.prepared_index import prepare_index
from plugin.harness.proxy_process import DEFAULT_PORT, ProxyProcess, free_port, start_proxy, stop_proxy
from plugin.upstream.search_client import SearchClient
from reranker.bundle import Bundle

INDEX = "docstrings"
SOURCE_FIELDS = ("name", "text")
SHOWN_FIELDS = ("text",)
"""The name is the document's `_id`, which is shown too."""

PAGE = 5
PROGRESS_STEP = 1000
QUERIES = (
    "how much free space is on the disk",
    "measure how long code takes",
    "join strings with commas in between",
    "delete a file",
    "cut off whitespace at both ends",
    "read a file line by line",
    "how many seconds since 1970",
    "run another program and get its output",
)
"""Chosen by looking at the results: the order gets better in all but the last, which changes little."""

_VERBS = ("open", "close", "show", "find", "move", "count", "check", "write")
WARM_UP = tuple(f"{verb} the {noun}" for verb in _VERBS for noun in ("door", "list", "name", "page", "rest"))
WARM_UP_S = 5.0
"""A Java server that has just started needs thousands of searches to warm up; this is about half of them."""

Say = Callable[[str], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class DemoPlan:
    """What to run. `home` keeps files between runs; `documents` is a limit, None for all of them."""

    home: Path
    server: LocalServer
    bundle: Bundle
    documents: int | None = None
    proxy_port: int = DEFAULT_PORT

    @property
    def folder(self) -> Path:
        """Where the demo keeps its documents, its proxy's record and log."""
        return demo_folder(self.home)


@dataclass(frozen=True)
class RunningDemo:
    """What the demo left running, and its results."""

    upstream: str
    proxy: ProxyProcess
    num_documents: int
    orders: Sequence[BothOrders]


def start_demo(plan: DemoPlan, say: Say) -> RunningDemo:
    """Start everything, index the docstrings and send the searches; `say` prints each step.

    What this call started is stopped again if a later step fails or is interrupted.

    Raises:
        OpenSearchError, CommandError, BundleError: a step failed.
    """
    make_folder(plan.folder)
    say("Starting OpenSearch; the first time it is fetched (160 MB) ...")
    with ExitStack() as started:
        upstream = _report_step(
            say, lambda: _start_opensearch(plan.server, started), "OpenSearch is ready at {}"
        )
        documents = _report_step(
            say,
            lambda: read_standard_library(plan.documents),
            "{:,} docstrings of Python's standard library",
            len,
        )
        file = _write_lines(plan.folder / "docstrings.jsonl", documents)
        _report_step(
            say,
            lambda: _index(plan, upstream, file, say),
            "{:,} of them were new and encoded",
            _count_encoded,
        )
        proxy = _report_step(
            say, lambda: _start_proxy(plan, upstream, started), "Twinrank is ready at {0.url}"
        )
        orders = run_searches(upstream, proxy.url)
        started.pop_all()
    return RunningDemo(upstream, proxy, len(documents), orders)


def stop_demo(home: Path, server: LocalServer) -> list[str]:
    """Stop what the demo left running; return the names of what ran. The data stay."""
    stopped = [("the proxy", stop_proxy(demo_folder(home))), ("OpenSearch", server.stop())]
    return [name for name, ran in stopped if ran]


def demo_folder(home: Path) -> Path:
    """Return the folder of the demo's documents, and of its proxy's record and log."""
    return home / "demo"


def run_searches(upstream: str, proxy: str, queries: Sequence[str] = QUERIES) -> list[BothOrders]:
    """Send every query both ways, after others that warm up connections and code but cache no vector.

    Raises:
        SearchError: one of the two does not answer.
    """
    with SearchClient(upstream) as straight, SearchClient(proxy) as proxied:
        end_s = time.monotonic() + WARM_UP_S
        for query in itertools.cycle(WARM_UP):
            search_both(straight, proxied, INDEX, query, build_search_body(query))
            if time.monotonic() > end_s:
                break
        return [search_both(straight, proxied, INDEX, query, build_search_body(query)) for query in queries]


def build_search_body(query: str) -> dict[str, Any]:
    """Return the search that both get; nothing in it is specific to Twinrank."""
    return {"query": {"multi_match": {"query": query, "fields": list(SOURCE_FIELDS)}}, "size": PAGE}


def _start_opensearch(server: LocalServer, started: ExitStack) -> str:
    """Start OpenSearch on its port or a free one. One that runs already is used, and not stopped later."""
    status = server.status()
    server.http_port = status.http_port or free_port(server.http_port)
    url = server.start()
    if not status.running:
        started.callback(server.stop)
    return url


def _index(plan: DemoPlan, upstream: str, file: Path, say: Say) -> Summary:
    """Index the file, and print progress: the first time, every text is encoded."""

    def progress(summary: Summary) -> None:
        if summary.indexed % PROGRESS_STEP < BATCH_DOCUMENTS and summary.indexed >= PROGRESS_STEP:
            say(f"  {summary.indexed:,} ...")

    return prepare_index(upstream, INDEX, file, SOURCE_FIELDS, bundle=plan.bundle, progress=progress)


def _start_proxy(plan: DemoPlan, upstream: str, started: ExitStack) -> ProxyProcess:
    """Restart the proxy: one of an earlier run may have other code, or another OpenSearch behind it."""
    stop_proxy(plan.folder)
    port = free_port(plan.proxy_port)
    proxy = start_proxy(upstream, plan.folder, port=port, bundle=plan.bundle.path)
    started.callback(stop_proxy, plan.folder)
    return proxy


def _count_encoded(summary: Summary) -> int:
    return summary.outcomes[Outcome.ENCODED]


def _write_lines(file: Path, documents: Sequence[Documented]) -> Path:
    draft = file.with_suffix(".new")
    draft.write_bytes(b"".join(msgspec.json.encode(document) + b"\n" for document in documents))
    return draft.replace(file)


def _report_step(
    say: Say, step: Callable[[], Result], done: str, shown: Callable[[Result], object] = lambda result: result
) -> Result:
    """Run a step, print its result and how long it took, and return the result."""
    begin = time.monotonic()
    result = step()
    say(f"{done.format(shown(result))} ({time.monotonic() - begin:.1f} s)")
    return result
