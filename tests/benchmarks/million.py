"""`python -m tests.benchmarks.million` (`make million`): a million documents beside ten thousand.

On one node, and on a cluster of three: what a reranked search adds, with both executions and two windows, and
what a sync of changed documents, a check of all vectors, a change of the model and the disk take.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from opensearchpy import OpenSearch
from rich.console import Console

from plugin.commands.local_server import find_home, make_local_server
from plugin.errors import CommandError
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from reranker.bundle import Bundle
from tests.benchmarks.derived_documents import DerivedDocuments, change_texts, make_derived_index
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import figures_table, machine_line
from tests.benchmarks.samples import Figure, added_ratio, percentile_difference
from tests.benchmarks.search_latency import match_body
from tests.support.cluster import make_cluster
from tests.support.paths import ROOT, TINY_BUNDLE

SMALL, LARGE = "million-small", "million-large"
NUM_QUERIES = 20
CHANGED = 100
"""Every so many documents is changed: 1 %."""

ALLOWED_RATIO = 1.1
"""Of what is added with many documents to what is added with few: the interval must reach it, or less."""

WINDOWS = (100, 1_000)
EXECUTIONS = ("sidecar", "cluster")

Way = tuple[str, int | None, str | None]
"""An index, a window, and the execution that reranks it.

Without an execution OpenSearch is asked itself: for the window as one page, or without one for ten hits.
"""


@click.command()
@click.option("--documents", type=click.IntRange(min=200), default=1_000_000, show_default=True)
@click.option("--compared", type=click.IntRange(min=100), default=10_000, show_default=True)
@click.option(
    "--texts", type=click.IntRange(min=50), default=5_000, help="Distinct texts, which are encoded."
)
@click.option("--rounds", type=click.IntRange(min=3), default=400, show_default=True)
@click.option("--nodes", type=click.Choice(["1", "3", "both"]), default="both", show_default=True)
@click.option("--heap", default="2g", show_default=True, help="Of each node.")
@click.option("--upstream", help="An OpenSearch to use as the one node.  [default: its own]")
@click.option(
    "--commands/--no-commands", "runs_commands", default=True, show_default=True, help="Measure them too."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=TINY_BUNDLE,
    help="The bundle of the change of the model.  [default: a tiny one, which takes no time]",
)
@bundle_option
def main(
    documents: int, compared: int, texts: int, rounds: int, nodes: str, heap: str, upstream: str | None,
    runs_commands: bool, to: Path, bundle_path: Path,
) -> None:  # fmt: skip
    """Measure searches and commands on many documents, on one node and on three."""
    bundle = Bundle.open(bundle_path)
    machine = machine_line(documents, "short documents")
    made = DerivedDocuments.encode(bundle, texts)
    figures, other = list[Figure](), to if runs_commands else None
    if nodes != "3":
        with ExitStack() as running:
            url = upstream or _start_node(running, heap)
            figures += _measure("one node", url, 1, made, (compared, documents), rounds, other)
    if nodes != "1" and upstream is None:
        with ExitStack() as running:
            url = _start_cluster(running, heap)
            figures += _measure("three nodes", url, 3, made, (compared, documents), rounds, other)
    title = f"{documents:,} documents beside {compared:,}. {machine}"
    Console(highlight=False, width=140).print(title, figures_table(figures), sep="\n")


def _start_node(running: ExitStack, heap: str) -> str:
    server = make_local_server(port=0, heap=heap, folder=find_home() / "benchmark-million")
    running.callback(server.stop)
    return server.start(fresh=True)


def _start_cluster(running: ExitStack, heap: str) -> str:
    """Start three nodes in a folder that is removed at the end; return the addresses of all."""
    folder = Path(
        running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-million-", dir="/var/tmp"))
    )
    folder.chmod(0o755)
    cluster = make_cluster(folder, heap=heap)
    running.callback(cluster.stop)
    cluster.start()
    return ",".join(cluster.urls)


def _measure(
    place: str,
    url: str,
    shards: int,
    made: DerivedDocuments,
    counts: tuple[int, int],
    rounds: int,
    other: Path | None,
) -> Iterator[Figure]:
    """Yield the figures of one cluster; the indices are removed at the end.

    `other` is the bundle of the change of the model; None: no commands are run.
    """
    first_url, count = url.partition(",")[0], counts[1]
    with OpenSearch(first_url, timeout=600) as client, tempfile.TemporaryDirectory() as folder:
        started_s = time.perf_counter()
        for name, number in zip((SMALL, LARGE), counts, strict=True):
            make_derived_index(client, name, made, number, shards)
        yield _seconds(f"{place}: writing both indices", started_s)
        yield _gigabytes(client, f"{place}: disk")
        with running_proxy(url, Path(folder), bundle=made.bundle.path) as proxy:
            yield from _figures(place, _search(first_url, proxy.url, made.texts, rounds))
        if other is not None:
            command = _Command(url, made.bundle.path)
            yield from _measure_commands(place, client, command, made, count, other)
        client.indices.delete(index=f"{SMALL},{LARGE}")


def _search(upstream: str, proxy: str, texts: Sequence[str], rounds: int) -> dict[Way, Floats64]:
    """Return (rounds,) milliseconds of each way; a round sends its search in each, in a drawn order."""
    queries, order = distinct_queries(texts, NUM_QUERIES), random.Random(0)
    indices = SMALL, LARGE
    ways: list[Way] = [(index, None, None) for index in indices]
    ways += [(index, window, each) for index in indices for window in WINDOWS for each in (None, *EXECUTIONS)]
    found: dict[Way, list[float]] = defaultdict(list)
    with SearchClient(upstream, timeout_s=120) as straight, SearchClient(proxy, timeout_s=120) as proxied:
        for number in range(NUM_QUERIES + rounds):
            body = match_body(queries[number % NUM_QUERIES])
            for way in order.sample(ways, len(ways)):
                index, window, execution = way
                client = straight if execution is None else proxied
                answer = client.search(index, _body(body, window, execution))
                if number >= NUM_QUERIES:  # the first pass warms vectors, caches and connections
                    _check(answer.status, execution)
                    found[way].append(answer.elapsed_ms)
    return {way: np.array(values) for way, values in found.items()}


def _check(status: str, execution: str | None) -> None:
    """Check that a search was reranked as it was meant; None: not at all."""
    if execution is not None and f"execution={execution}" not in status:
        raise CommandError(f"expected a search reranked by {execution}, found {status!r}")


def _body(body: dict[str, Any], window: int | None, execution: str | None) -> dict[str, Any]:
    if execution is None:
        return body if window is None else {**body, "size": window}
    return {**body, "ext": {"rerank": {"window_size": window, "execution": execution}}}


def _figures(place: str, measured: dict[Way, Floats64]) -> Iterator[Figure]:
    small, large = measured[SMALL, None, None], measured[LARGE, None, None]
    for window in WINDOWS:
        own = measured[SMALL, window, None], measured[LARGE, window, None]
        what = f"{place}, window {window:,}"
        yield added_ratio(f"{what}: OpenSearch's own part, many to few", (small, own[0]), (large, own[1]))
        sidecar = measured[SMALL, window, "sidecar"], measured[LARGE, window, "sidecar"]
        name = f"{what}: the proxy's part with sidecar, many to few"
        yield added_ratio(name, (own[0], sidecar[0]), (own[1], sidecar[1]))
        for execution in EXECUTIONS:
            what = f"{place}, {execution}, window {window:,}"
            both = (small, measured[SMALL, window, execution]), (large, measured[LARGE, window, execution])
            yield percentile_difference(f"{what}: added, few documents", *both[0], 50)
            yield percentile_difference(f"{what}: added, many documents", *both[1], 50)
            ratio = added_ratio(f"{what}: many to few", *both)
            yield replace(ratio, budget=ALLOWED_RATIO, is_interval_judged=True)


class _Command:
    """Runs a command of `twinrank` on the large index, to its end."""

    def __init__(self, url: str, bundle: Path) -> None:
        self._url, self._bundle = url, bundle

    def __call__(self, name: str, *arguments: str) -> Any:  # noqa: ANN401  # its report
        bundle = () if name == "migrate" else ("--bundle", str(self._bundle))
        done = subprocess.run(
            [sys.executable, "-m", "plugin", name, LARGE, *arguments, "--json", *bundle,
             "--upstream", self._url],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CommandError(f"expected {name} to end well, found: {done.stderr[-2000:]}")
        return json.loads(done.stdout or "null")  # `migrate cutover` prints nothing


def _measure_commands(
    place: str, client: OpenSearch, run: _Command, made: DerivedDocuments, count: int, other: Path
) -> Iterator[Figure]:
    """Yield what the commands take, and check that each did all that it had to do."""
    changed = range(0, count, CHANGED)

    def timed(what: str, name: str, *arguments: str) -> tuple[Figure, Any]:
        started_s = time.perf_counter()
        report = run(name, *arguments)
        return _seconds(f"{place}: {what}", started_s), report

    figure, report = timed("sync, first look, nothing to encode", "sync")
    _expect("documents checked and written", (count, 0), (report["checked"], report["written"]))
    yield figure
    change_texts(client, LARGE, made, changed)
    figure, report = timed("sync of 1 % changed", "sync")
    _expect("documents written", len(changed), report["written"])
    yield figure
    figure, report = timed("verify", "verify")
    _expect("current documents", count, report[LARGE]["current"])
    yield figure
    figure, report = timed("migrate, an encoder that takes no time", "migrate", "--to", str(other))
    _expect("documents written", count, report["written"])
    yield figure
    figure, report = timed("migrate cutover", "migrate", "cutover", "--to", str(other))
    yield figure
    yield _gigabytes(client, f"{place}: disk with a second vector")


def _expect(what: str, expected: object, found: object) -> None:
    """Check a result.

    Raises:
        CommandError: it is another one.
    """
    if expected != found:
        raise CommandError(f"expected {expected} {what}, found {found}")


def _seconds(name: str, started_s: float) -> Figure:
    took_s = time.perf_counter() - started_s
    return Figure(name, took_s, took_s, took_s, "s")


def _gigabytes(client: OpenSearch, name: str) -> Figure:
    """Return the large index's size."""
    client.indices.flush(index=LARGE, request_timeout=600)
    size = client.indices.stats(index=LARGE, metric="store")["indices"][LARGE]["total"]["store"]
    megabytes = size["size_in_bytes"] / 1e6
    return Figure(name, megabytes, megabytes, megabytes, "MB")


if __name__ == "__main__":
    main()
