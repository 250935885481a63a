"""`python -m tests.benchmarks.ray_backfill`: two actors on Ray beside two processes with a slice each.

Both get the same documents, in rounds of processes, Ray, Ray, processes: a machine that becomes slower
meanwhile slows down both alike. The result is the share of each round. A rate is that from the first tenth of
the vectors to the last, since the start of Ray's actors takes seconds, whatever the number of documents.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import click
from opensearchpy import OpenSearch

from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.backfill import make_index, short_texts
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.report import machine_line
from tests.support.paths import ROOT
from tests.support.ray_cluster import ray_cluster

INDEX = "ray-rate"
LOOK_S = 0.5
EDGE = 0.1
"""The share of the vectors at either end that is not timed."""

ALLOWED = 0.9
"""Ray's rate, as a share of that of two processes."""


def start_backfill(url: str, bundle: Bundle, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a backfill of the index."""
    return subprocess.Popen(
        [sys.executable, "-m", "plugin", "backfill", INDEX, "--json", "--threads", "1", *arguments,
         "--upstream", url, "--bundle", str(bundle.path)],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip


def measure_rate(client: OpenSearch, count: int, children: Sequence["subprocess.Popen[bytes]"]) -> float:
    """Return documents a second, between the two edges of all of them, until the children have ended.

    Raises:
        click.ClickException: one of them did not end well, or wrote another number of documents.
    """
    seen = list[tuple[float, int]]()
    while any(child.poll() is None for child in children):
        client.indices.refresh(index=INDEX)
        found = client.count(index=INDEX, body={"query": {"exists": {"field": "rerank.vector"}}})["count"]
        seen.append((time.monotonic(), found))
        time.sleep(LOOK_S)
    written = sum(json.loads(child.communicate()[0])["written"] for child in children)
    if written != count or any(child.returncode for child in children):
        raise click.ClickException(f"expected {count} documents written, found {written}")
    middle = [(at, found) for at, found in seen if EDGE * count <= found <= (1 - EDGE) * count]
    if len(middle) < 2:
        raise click.ClickException("expected more documents than are written in a second: --documents")
    (first_s, first), (last_s, last) = middle[0], middle[-1]
    return (last - first) / (last_s - first_s)


def compare(
    url: str, client: OpenSearch, address: str, bundle: Bundle, count: int, rounds: int
) -> Iterator[str]:
    """Yield the rates, and at the end Ray's share of the processes' rate."""
    texts = short_texts(count)

    def processes() -> float:
        return run(lambda: [start_backfill(url, bundle, "--slice", f"{part}/2") for part in (1, 2)])

    def actors() -> float:
        return run(lambda: [start_backfill(url, bundle, "--ray", address, "--actors", "2")])

    def run(start: Callable[[], list["subprocess.Popen[bytes]"]]) -> float:
        make_index(client, INDEX, bundle, texts)
        return measure_rate(client, count, start())

    shares = list[float]()
    for _ in range(rounds):
        before, first, second, after = processes(), actors(), actors(), processes()
        shares.append((first + second) / (before + after))
        yield f"two processes: {before:.0f} and {after:.0f}/s; actors on Ray: {first:.0f} and {second:.0f}/s"
    yield (
        f"Ray, share of the processes' rate: {median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%} in"
        f" {rounds} rounds; allowed: from {ALLOWED:.0%} on)"
    )


@click.command()
@click.option("--documents", default=4000, show_default=True, help="Of each run.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of four runs each.")
@click.option("--upstream", help="An OpenSearch to use.  [default: one of its own, stopped at the end]")
@bundle_option
def main(documents: int, rounds: int, upstream: str | None, bundle_path: Path) -> None:
    """Compare two actors on Ray with two processes."""
    bundle = Bundle.open(bundle_path)
    click.echo(machine_line(documents).replace("docstrings", "short documents"))
    with ExitStack() as running:
        url = running.enter_context(opensearch_at(upstream))
        client = running.enter_context(OpenSearch(url, timeout=120))
        address = running.enter_context(ray_cluster())
        for line in compare(url, client, address, bundle, documents, rounds):
            click.echo(line)


if __name__ == "__main__":
    main()
