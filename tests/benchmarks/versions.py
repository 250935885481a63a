"""`python -m tests.benchmarks.versions CHECKOUT`: this version's proxy beside another one's, in one run.

Both proxies stand in front of one OpenSearch and one index.
Every round sends each kind of request to OpenSearch and to both, in an order drawn anew, so that clock speed
and neighbours favour no side.
CHECKOUT is another working tree with a `.venv` of its own (`git worktree add`, then `make setup`).
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import free_port, running_proxy
from plugin.upstream.search_client import SearchClient, SearchError
from reranker.arrays import Floats64
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import index_docstrings, opensearch_at
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import machine_line
from tests.benchmarks.samples import percentile_difference
from tests.benchmarks.search_latency import Kind, Target, match_body
from tests.benchmarks.throughput import warm_up
from tests.support.processes import children_of

INDEX = "versions"
REPEATED = 20
STRAIGHT, OTHER, THIS = "OpenSearch alone", "other version", "this version"


@dataclass(frozen=True)
class Side:
    """Where a request goes: its address, and the process whose children answer (0: OpenSearch)."""

    name: str
    url: str
    master: int = 0

    def processor_s(self) -> float:
        """Return the processor time that its workers have used, in seconds."""
        return sum(_processor_s(pid) for pid in children_of(self.master)) if self.master else 0.0


@dataclass
class Found:
    """What one side did with one kind: milliseconds, and how often each `Rerank-Status` began so."""

    elapsed_ms: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    processor_s: float = 0.0


@contextmanager
def spinning(count: int) -> Iterator[None]:
    """Run so many processes that do nothing but spin."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


@contextmanager
def other_proxy(checkout: Path, upstream: str) -> Iterator[Side]:
    """Run the proxy of another checkout, with its own Python and its own default bundle."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "plugin", "serve", "--upstream", upstream]
    child = subprocess.Popen(
        [*command, "--listen", url.removeprefix("http://")], cwd=checkout, stderr=subprocess.DEVNULL
    )
    try:
        _await(url, child)
        yield Side(OTHER, url, child.pid)
    finally:
        child.terminate()
        child.wait()


def _await(url: str, child: "subprocess.Popen[bytes]") -> None:
    while child.poll() is None:
        try:
            with SearchClient(url) as client:
                client.request("GET", "/_cluster/health")
        except SearchError:
            time.sleep(0.2)
        else:
            return
    raise click.ClickException(f"the other version's proxy ended with status {child.returncode}")


def kinds(queries: Sequence[str]) -> list[Kind]:
    """Return the kinds of requests that are compared."""
    path = f"/{INDEX}/_search"
    return [
        Kind("distinct", lambda i: ("POST", path, match_body(queries[REPEATED + i])), 0),
        Kind("repeated", lambda i: ("POST", path, match_body(queries[i % REPEATED])), 0),
        Kind("sorted, passed", lambda i: ("POST", path, {**match_body(queries[i]), "sort": ["_doc"]}), 0),
        Kind("_count, passed", lambda i: ("GET", f"/{INDEX}/_count", None), 0),
    ]


def measure(sides: Sequence[Side], compared: Sequence[Kind], rounds: int) -> Mapping[tuple[str, str], Found]:
    """Return what each side did with each kind: one keep-alive client, one request at a time."""
    found: defaultdict[tuple[str, str], Found] = defaultdict(Found)
    order = random.Random(0)
    with ExitStack() as opened:
        clients = {side.name: opened.enter_context(SearchClient(side.url)) for side in sides}
        for i in range(REPEATED):
            for kind in compared[1:]:
                for client in clients.values():
                    client.request(*kind.request(i))
        pairs = [(kind, side) for kind in compared for side in sides]
        for i in range(rounds):
            for kind, side in order.sample(pairs, len(pairs)):
                begun_s = side.processor_s()
                answer = clients[side.name].request(*kind.request(i))
                one = found[kind.name, side.name]
                one.processor_s += side.processor_s() - begun_s
                one.elapsed_ms.append(answer.elapsed_ms)
                one.statuses[answer.status.split("; w")[0]] += 1
    return found


def report(found: Mapping[tuple[str, str], Found], compared: Sequence[Kind]) -> Iterator[str]:
    """Yield a Markdown table: added time at p50 with its interval, processor time, what was reranked."""
    yield "| kind | side | p50 | added p50 (95 %) | processor ms a request | answered |"
    yield "|---|---|---:|---:|---:|---|"
    for kind in compared:
        straight_ms = _array(found[kind.name, STRAIGHT])
        for name in (OTHER, THIS):
            one = found[kind.name, name]
            gap = percentile_difference("", straight_ms, _array(one), 50)
            statuses = ", ".join(f"{count} {status or 'passed'}" for status, count in one.statuses.items())
            yield (
                f"| {kind.name} | {name} | {np.median(_array(one)):.2f} |"
                f" {gap.value:+.2f} ({gap.low:+.2f} to {gap.high:+.2f}) |"
                f" {1000 * one.processor_s / len(one.elapsed_ms):.2f} | {statuses} |"
            )


def _array(found: Found) -> Floats64:
    return np.array(found.elapsed_ms)


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@click.command()
@click.argument("checkout", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--rounds", default=300, show_default=True, help="Requests of each kind to each side.")
@click.option("--spin", default=0, show_default=True, help="Processes that spin beside it.")
@click.option("--warm-up", "warm_up_s", default=30.0, show_default=True, help="Seconds before.")
@click.option("--documents", type=click.IntRange(min=100), help="Index only so many docstrings.")
def main(checkout: Path, rounds: int, spin: int, warm_up_s: float, documents: int | None) -> None:
    """Compare this version's proxy with CHECKOUT's."""
    corpus = read_standard_library(documents)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        upstream = running.enter_context(opensearch_at(None))
        index_docstrings(upstream, INDEX, corpus, Bundle.open())
        other = running.enter_context(other_proxy(checkout.resolve(), upstream))
        this = running.enter_context(running_proxy(upstream, folder))
        sides = [Side(STRAIGHT, upstream), other, Side(THIS, this.url, this.child.pid)]
        queries = distinct_queries([each.text for each in corpus], rounds + 2 * REPEATED + 50)
        for side in sides[1:]:
            warm_up(Target(upstream, side.url, INDEX), queries[:50], warm_up_s / 2)
        machine = machine_line(len(corpus))
        compared = kinds(queries[50:])
        with spinning(spin):
            found = measure(sides, compared, rounds)
    click.echo(f"{machine} {spin} processes spun beside it.\n")
    click.echo("\n".join(report(found, compared)))


if __name__ == "__main__":
    main()
