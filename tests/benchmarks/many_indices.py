"""`python -m tests.benchmarks.many_indices`: what thousands of indices with settings cost a search."""

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from rich.console import Console

from opensearch.client import OpenSearchClient
from opensearch.settings.table import RerankSettings
from plugin.commands.local_server import find_home, make_local_server
from plugin.demo.docstrings import Documented, read_standard_library
from plugin.errors import CommandError
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.settings.poller import SettingsPoller
from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from reranker.bundle import Bundle
from tests.benchmarks.crowd import (
    SERVER_SETTINGS,
    MeasuredUpstream,
    crowd_names,
    delete_crowd,
    make_crowd,
    write_window,
)
from tests.benchmarks.local_opensearch import index_docstrings
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import (
    RESULTS,
    figures_markdown,
    figures_table,
    machine_line,
    read_results,
    written_into,
)
from tests.benchmarks.samples import Figure, added_ratio, median, percentile_difference
from tests.benchmarks.search_latency import match_body

INDEX = "benchmark"
REPEATED = 20
WARM_UPS = 3
"""Whole passes over the queries, on every side."""

CHANGES = 3
"""Changes of settings that the poller follows while it is looked at."""

SIDES = ("alone, straight", "alone, proxy", "crowded, straight", "crowded, proxy")
_WAIT_S = 120.0


@click.command()
@click.option("--indices", "num_indices", type=click.IntRange(min=1), default=5_000, show_default=True)
@click.option("--documents", type=click.IntRange(min=100), default=1_000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=3), default=400, show_default=True)
@click.option("--heap", default="2g", show_default=True, help="Of each of the two servers.")
@click.option("--alone", help="An OpenSearch to use for the one index.  [default: one of its own]")
@click.option(
    "--crowded", help="One to fill with the indices, removed at the end.  [default: one of its own]"
)
@click.option("--write", is_flag=True, help="Write the figures into docs/reference/results.md.")
@bundle_option
def main(
    num_indices: int, documents: int, rounds: int, heap: str, alone: str | None, crowded: str | None,
    write: bool, bundle_path: Path,
) -> None:  # fmt: skip
    """Compare a search on a server with one index and on a server with thousands, each with settings."""
    corpus, bundle = read_standard_library(documents), Bundle.open(bundle_path)
    machine = machine_line(len(corpus))
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        urls = [alone or _server(running, "alone", heap), crowded or _server(running, "crowded", heap)]
        client = running.enter_context(closing(OpenSearchClient(urls[1], timeout_s=600)))
        names = crowd_names(num_indices)
        if crowded:
            running.callback(delete_crowd, client, names)
        make_crowd(client, names, bundle.name)
        figures = list(_measured(running, folder, urls, bundle, corpus, rounds))
        figures += _polled(urls[1], client, names[0], folder)
    title = f"{num_indices:,} indices beside the one that is searched. {machine}"
    Console(highlight=False, width=140).print(title, figures_table(figures), sep="\n")
    if write:
        section = figures_markdown(figures, title)
        RESULTS.write_text(written_into(read_results(), section, "many indices", "Thousands of indices"))


def _server(running: ExitStack, name: str, heap: str) -> str:
    server = make_local_server(port=0, heap=heap, folder=find_home() / f"benchmark-{name}")
    server = replace(server, settings=SERVER_SETTINGS)
    running.callback(server.stop)
    return server.start(fresh=True)


def _measured(
    running: ExitStack,
    folder: Path,
    urls: Sequence[str],
    bundle: Bundle,
    corpus: list[Documented],
    rounds: int,
) -> Iterator[Figure]:
    clients: list[SearchClient] = []
    for place, url in enumerate(urls):
        index_docstrings(url, INDEX, corpus, bundle)
        own = folder / str(place)
        own.mkdir()
        proxy = running.enter_context(running_proxy(url, own, bundle=bundle.path))
        clients += [running.enter_context(SearchClient(each)) for each in (url, proxy.url)]
    queries = distinct_queries([each.text for each in corpus], REPEATED)
    _interleaved(clients, queries, WARM_UPS * min(rounds, REPEATED))
    yield from _figures(_interleaved(clients, queries, rounds))


def _interleaved(
    clients: Sequence[SearchClient], queries: Sequence[str], rounds: int
) -> Mapping[str, Floats64]:
    """Return for each side (rounds,) milliseconds; a round sends its search to each, in a drawn order."""
    found: dict[str, list[float]] = defaultdict(list)
    order = random.Random(0)
    for turn in range(rounds):
        body = match_body(queries[turn % len(queries)])
        for side, client in order.sample(list(zip(SIDES, clients, strict=True)), len(SIDES)):
            answer = client.request("POST", f"/{INDEX}/_search", body)
            if side.endswith("proxy") and turn >= REPEATED and not answer.status.startswith("applied"):
                raise CommandError(f"expected reranked searches, {side}, found `{answer.status}`")
            found[side].append(answer.elapsed_ms)
    return {side: np.array(values) for side, values in found.items()}


def _figures(measured: Mapping[str, Floats64]) -> Iterator[Figure]:
    for side in SIDES:
        yield median(f"search, {side}", measured[side])
    both = {
        server: (measured[f"{server}, straight"], measured[f"{server}, proxy"])
        for server in ("alone", "crowded")
    }
    for server, (straight, proxied) in both.items():
        yield percentile_difference(f"{server}: added by the proxy, p50", straight, proxied, 50)
    yield added_ratio("added, crowded to alone, p50", both["alone"], both["crowded"])


def _polled(url: str, client: OpenSearchClient, name: str, folder: Path) -> Iterator[Figure]:
    """Yield what the poller asks of OpenSearch, and how long a change of one index takes to be followed."""
    shared = folder / "poller"
    shared.mkdir()
    followed_ms = []
    with closing(MeasuredUpstream(url)) as upstream:
        poller = SettingsPoller(upstream, (), shared, {})
        poller.start()
        try:
            _until(poller, name, None)
            for change in range(CHANGES):
                began = time.perf_counter()
                write_window(client, name, 1_000 + change)
                _until(poller, name, 1_000 + change)
                followed_ms.append((time.perf_counter() - began) * 1000)
        finally:
            poller.stop()
        for path, what in (("/_cluster/state/version", "each second"), ("/*", "after a change")):
            asked = [each for each in upstream.asked if each.path == path]
            yield median(f"poller, {what}: OpenSearch answers", np.array([each.took_ms for each in asked]))
            size = float(asked[-1].num_bytes) / 1000
            yield Figure(f"poller, {what}: the answer", size, size, size, "kB")
    yield median("a change of one index is followed after", np.array(followed_ms))
    size = (shared / "settings.json").stat().st_size / 1000
    yield Figure("the file that the workers of a host share", size, size, size, "kB")


def _until(poller: SettingsPoller, name: str, window_size: int | None) -> None:
    """Wait until the poller has seen an index, with that window where one is given."""
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        view = poller.view()
        target = view.find_target(name) if view else None
        settings = target.settings if target else None
        if isinstance(settings, RerankSettings) and window_size in (None, settings.window_size):
            return
        time.sleep(0.01)
    raise CommandError(f"expected the poller to follow {name} within {_WAIT_S:.0f} s, found that it does not")


if __name__ == "__main__":
    main()
