"""`python -m tests.benchmarks.ray_backfill`: two actors on Ray beside two processes with a slice each.

Both get the same documents, in rounds of processes, Ray, Ray, processes: a machine that becomes slower
meanwhile slows down both alike. The result is the share of each pair, by the clock and in processor time,
which other work on the machine changes less. A rate is that from the first tenth of the vectors to the last,
since the start of Ray's actors takes seconds, whatever the number of documents.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
from opensearchpy import OpenSearch

from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.backfill import make_index, short_texts
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.options import upstream_option
from tests.benchmarks.report import machine_line
from tests.support.paths import ROOT
from tests.support.processes import children_of, members_of, read_processor_s
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


@dataclass(frozen=True)
class Rate:
    """Documents a second by the clock, and a second of processor time, without OpenSearch's."""

    clock: float
    processor: float


def measure_rate(
    client: OpenSearch, count: int, children: Sequence["subprocess.Popen[bytes]"], session: int | None
) -> Rate:
    """Return the rate between the two edges of all of them, until the children have ended.

    The processor time is that of the children, and of Ray's session if there is one.

    Raises:
        click.ClickException: one of them did not end well, or wrote another number of documents.
    """
    pids = [child.pid for child in children]
    used_s = dict[int, float]()
    seen = list[tuple[float, float, int]]()
    while any(child.poll() is None for child in children):
        client.indices.refresh(index=INDEX)
        found = client.count(index=INDEX, body={"query": {"exists": {"field": "rerank.vector"}}})["count"]
        for pid in (*pids, *(members_of(session) if session is not None else ())):
            used_s[pid] = max(used_s.get(pid, 0.0), read_processor_s(pid))  # one that has ended has none
        seen.append((time.monotonic(), sum(used_s.values()), found))
        time.sleep(LOOK_S)
    written = sum(json.loads(child.communicate()[0])["written"] for child in children)
    if written != count or any(child.returncode for child in children):
        raise click.ClickException(f"expected {count} documents written, found {written}")
    middle = [look for look in seen if EDGE * count <= look[2] <= (1 - EDGE) * count]
    if len(middle) < 2:
        raise click.ClickException("expected more documents than are written in a second: --documents")
    (first_s, first_used_s, first), (last_s, last_used_s, last) = middle[0], middle[-1]
    return Rate((last - first) / (last_s - first_s), (last - first) / (last_used_s - first_used_s))


def compare(
    url: str, client: OpenSearch, cluster: tuple[str, int], bundle: Bundle, count: int, rounds: int
) -> Iterator[str]:
    """Yield the rates, and at the end Ray's share of the processes'. `cluster`: its address and session."""
    texts = short_texts(count)
    address, session = cluster

    def processes() -> Rate:
        make_index(client, INDEX, bundle, texts)
        children = [start_backfill(url, bundle, "--slice", f"{part}/2") for part in (1, 2)]
        return measure_rate(client, count, children, None)

    def actors() -> Rate:
        make_index(client, INDEX, bundle, texts)
        driver = start_backfill(url, bundle, "--ray", address, "--actors", "2")
        return measure_rate(client, count, [driver], session)

    found = list[tuple[Rate, Rate, Rate, Rate]]()
    for _ in range(rounds):
        found.append((processes(), actors(), actors(), processes()))
        before, first, second, after = found[-1]
        yield (
            f"two processes: {before.clock:.0f} and {after.clock:.0f}/s, {before.processor:.0f} and"
            f" {after.processor:.0f} a core-second; on Ray: {first.clock:.0f} and {second.clock:.0f}/s,"
            f" {first.processor:.0f} and {second.processor:.0f}"
        )
    yield _describe("by the clock", [[rate.clock for rate in one] for one in found])
    yield _describe("in processor time", [[rate.processor for rate in one] for one in found])


def _describe(how: str, found: Sequence[Sequence[float]]) -> str:
    """Return the share in words; `found` has a round's rates of processes, Ray, Ray, processes."""
    shares = [share for before, first, second, after in found for share in (first / before, second / after)]
    return (
        f"Ray, share of the processes' rate {how}: {median(shares):.1%} ({min(shares):.1%} to"
        f" {max(shares):.1%} in {len(shares)} pairs of runs; allowed: from {ALLOWED:.0%} on)"
    )


@click.command()
@click.option("--documents", default=4000, show_default=True, help="Of each run.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Of four runs each.")
@upstream_option
@bundle_option
def main(documents: int, rounds: int, upstream: str | None, bundle_path: Path) -> None:
    """Compare two actors on Ray with two processes."""
    bundle = Bundle.open(bundle_path)
    click.echo(machine_line(documents).replace("docstrings", "short documents"))
    with ExitStack() as running:
        url = running.enter_context(opensearch_at(upstream))
        client = running.enter_context(OpenSearch(url, timeout=120))
        others = children_of(os.getpid())
        address = running.enter_context(ray_cluster())
        [head] = set(children_of(os.getpid())).difference(others)
        for line in compare(url, client, (address, head), bundle, documents, rounds):
            click.echo(line)


if __name__ == "__main__":
    main()
