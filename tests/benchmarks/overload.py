"""`python -m tests.benchmarks.overload`: more searches than can be reranked, in an open loop.

First the capacity is measured, distinct queries reranked in a closed loop; then searches come at multiples of
it, through the proxy and straight at OpenSearch.
"""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from opensearchpy import OpenSearch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.open_loop import Answered, open_loop
from tests.benchmarks.options import upstream_option
from tests.benchmarks.report import machine_line
from tests.benchmarks.search_latency import PAGE
from tests.benchmarks.sized_index import make_sized_index, query_texts

MULTIPLES = (0.5, 1.0, 1.5, 2.0, 3.0)
DOCUMENTS = 5_000
DOCUMENT_BYTES = 500
DEADLINE_MS = 50


def prepared(url: str, bundle: Bundle, documents: int) -> str:
    """Make an index with the default deadline, and return its name."""
    name = make_sized_index(url, bundle, DOCUMENT_BYTES, documents).name
    with OpenSearch(url) as client:
        meta = client.indices.get_mapping(index=name)[name]["mappings"]["_meta"]
        changed = {"rerank": {**meta["rerank"], "deadline_ms": DEADLINE_MS}}
        client.indices.put_mapping(index=name, body={"_meta": changed})
    return name


def searches(count: int, seed: int) -> list[dict[str, object]]:
    """Return searches of `count` texts that no other seed gives."""
    return [
        {"query": {"match": {"title": f"{text} {seed}x{number}"}}, "size": PAGE}
        for number, text in enumerate(query_texts(count))
    ]


def capacity(url: str, target: str, bodies: Sequence[object], clients: int = 4) -> float:
    """Return how many of these a second are reranked, `clients` being in flight all the time."""
    sent = open_loop(url, target, bodies, 1e6, senders=clients)
    return sent.outcomes["applied"] / (max(sent.ms) / 1000)


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="Length of each run.")
@upstream_option
@bundle_option
def main(seconds: float, upstream: str | None, bundle_path: Path) -> None:
    """Show what becomes of searches when more come than can be reranked."""
    bundle = Bundle.open(bundle_path)
    with ExitStack() as running:
        upstream = running.enter_context(opensearch_at(upstream))
        target = f"/{prepared(upstream, bundle, DOCUMENTS)}/_search"
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        proxy = running.enter_context(running_proxy(upstream, folder, bundle=bundle.path))
        number = int(seconds * 200)
        capacity(proxy.url, target, searches(number, 1))  # a Java server needs thousands to reach its speed
        measured = capacity(proxy.url, target, searches(number, 2))
        console = Console(highlight=False, width=140)
        console.print(
            machine_line(DOCUMENTS, "documents"), f"capacity: {measured:.0f} reranked searches a second"
        )
        console.print(_table(upstream, proxy.url, target, measured, seconds))


def _table(upstream: str, proxy: str, target: str, measured: float, seconds: float) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for name in (
        "rate",
        "1/s",
        "where",
        "reranked",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "not 200",
        "why not reranked",
    ):
        table.add_column(name, justify="left" if name in ("where", "why not reranked") else "right")
    for number, multiple in enumerate(MULTIPLES):
        rate = multiple * measured
        for where, url in (("straight", upstream), ("proxy", proxy)):
            bodies = searches(int(rate * seconds), 10 + number)
            table.add_row(f"{multiple:g} x", *_cells(where, open_loop(url, target, bodies, rate)))
    return table


def _cells(where: str, answered: Answered) -> list[str]:
    faults = answered.faults.total() + answered.statuses.total() - answered.statuses[200]
    reasons = [
        f"{reason} {count}" for reason, count in answered.outcomes.items() if reason not in ("", "applied")
    ]
    times = [f"{ms:.1f}" for ms in answered.percentiles_ms()]
    share = "" if where == "straight" else f"{100 * answered.share_applied:.0f} %"
    return [f"{answered.rate:.0f}", where, share, *times, str(faults), ", ".join(reasons)]


if __name__ == "__main__":
    main()
