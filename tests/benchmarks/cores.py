"""`python -m tests.benchmarks.cores`: what a request costs on either core, in one interleaved run.

Each round sends every kind of request to a proxy of each core, in an order drawn again. Processor time is
that of the proxy's only worker, all its threads included.
"""

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from opensearchpy import OpenSearch

from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import index_docstrings, opensearch_at
from tests.benchmarks.options import interleaved_options
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import machine_line
from tests.benchmarks.samples import bound_ratio
from tests.support.cores import CORES, core_arguments
from tests.support.processes import children_of

INDEX = "cores"
COUNT, SORTED = "_count, passed through", "search with a sort, passed through"
REPEATED, DISTINCT = "search, repeated", "search, distinct"
KINDS = (COUNT, SORTED, REPEATED, DISTINCT)
DEADLINE_MS = 5_000
_NUM_REPEATED = 20


@dataclass(frozen=True)
class CoreSide:
    """A proxy of one core: its client, and the process id of its worker."""

    client: SearchClient
    worker: int

    def read_processor_ms(self) -> float:
        """Return the processor time of the worker so far, in milliseconds."""
        return time.clock_gettime(((~self.worker) << 3) | 2) * 1000  # clock_getcpuclockid(3)


@dataclass(frozen=True)
class Block:
    """Some requests of one kind, sent one after another: milliseconds a request of each measure."""

    processor_ms: float
    clock_ms: float


@click.command()
@interleaved_options(documents=4_000, rounds=30)
@click.option("--requests", "num_requests", type=click.IntRange(min=1), default=40, help="Of each, a round.")
@bundle_option
def main(documents: int, rounds: int, num_requests: int, upstream: str | None, bundle_path: Path) -> None:
    """Measure processor time and median latency of both cores."""
    bundle, corpus = Bundle.open(bundle_path), read_standard_library(documents)
    texts = [each.text for each in corpus]
    queries = distinct_queries(texts, _NUM_REPEATED + (rounds + 1) * num_requests)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        url = running.enter_context(opensearch_at(upstream))
        index_docstrings(url, INDEX, corpus, bundle)
        with OpenSearch(url, timeout=120) as client:
            _be_patient(client)
            client.indices.forcemerge(index=INDEX, params={"max_num_segments": 1})
        sides = {core: _start_side(running, core, url, bundle, folder / core) for core in CORES}
        blocks = measure(sides, queries, rounds, num_requests)
    click.echo(machine_line(len(texts)))
    click.echo(f"{rounds} rounds of {num_requests} requests; median (95 % interval of the ratio)\n")
    click.echo("| request | measure | gthread | async | async / gthread |\n|---|---|---:|---:|---:|")
    for kind in KINDS:
        for name, measured in (("processor ms", "processor_ms"), ("p50 ms", "clock_ms")):
            click.echo(_row(kind, name, *(_values(blocks, core, kind, measured) for core in CORES)))


def measure(
    sides: Mapping[str, CoreSide], queries: Sequence[str], rounds: int, num_requests: int
) -> dict[tuple[str, str], list[Block]]:
    """Return the blocks of each core and kind, one a round. The first round only warms up."""
    blocks: dict[tuple[str, str], list[Block]] = defaultdict(list)
    order, places = random.Random(0), [(core, kind) for kind in KINDS for core in sides]
    repeated = queries[:_NUM_REPEATED]
    for number in range(rounds + 1):
        begin = _NUM_REPEATED + number * num_requests
        fresh = queries[begin : begin + num_requests]
        for core, kind in order.sample(places, len(places)):
            texts = fresh if kind == DISTINCT else [repeated[i % len(repeated)] for i in range(num_requests)]
            block = _send(sides[core], kind, texts)
            if number:
                blocks[core, kind].append(block)
    return blocks


def _send(side: CoreSide, kind: str, texts: Sequence[str]) -> Block:
    begin_ms, elapsed_ms = side.read_processor_ms(), []
    for text in texts:
        body: dict[str, Any] = {"query": {"match": {"text": text}}}
        if kind == COUNT:
            answer = side.client.request("POST", f"/{INDEX}/_count", body)
        else:
            sort = {"sort": ["_doc"]} if kind == SORTED else {}
            answer = side.client.search(INDEX, {**body, "size": 10, **sort})
        if answer.status.startswith("applied") != (kind in (REPEATED, DISTINCT)):
            raise click.ClickException(f"{kind}: found {answer.status or 'no status'}")
        elapsed_ms.append(answer.elapsed_ms)
    spent_ms = side.read_processor_ms() - begin_ms
    return Block(spent_ms / len(texts), float(np.median(elapsed_ms)))


def _values(
    blocks: Mapping[tuple[str, str], Sequence[Block]], core: str, kind: str, measured: str
) -> Floats64:
    return np.array([getattr(block, measured) for block in blocks[core, kind]])


def _row(kind: str, name: str, threads: Floats64, loop: Floats64) -> str:
    """Return one line of the table, with the ratio's interval (bootstrap over rounds)."""
    low, high = bound_ratio(threads, loop)
    first, second = np.median(threads), np.median(loop)
    ratio = f"{second / first:.2f} ({low:.2f} to {high:.2f})"
    return f"| {kind} | {name} | {first:.2f} | {second:.2f} | {ratio} |"


def _be_patient(client: OpenSearch) -> None:
    """Have searches wait long for their vector, so that a busy machine measures the same work."""
    meta = client.indices.get_mapping(index=INDEX)[INDEX]["mappings"]["_meta"]
    meta["rerank"]["deadline_ms"] = DEADLINE_MS
    client.indices.put_mapping(index=INDEX, body={"_meta": meta})


def _start_side(running: ExitStack, core: str, url: str, bundle: Bundle, folder: Path) -> CoreSide:
    folder.mkdir()
    arguments = ["--workers", "1", *core_arguments(core)]
    proxy = running.enter_context(running_proxy(url, folder, bundle=bundle.path, arguments=arguments))
    client = running.enter_context(SearchClient(proxy.url))
    (worker,) = children_of(proxy.child.pid)
    return CoreSide(client, worker)


if __name__ == "__main__":
    main()
