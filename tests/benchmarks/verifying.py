"""`python -m tests.benchmarks.verifying`: what `verify_at_search` adds to a search.

The same docstrings in two indices, one of them with the setting; every round sends each search to both.
"""

import random
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
from opensearchpy import OpenSearch

from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.upstream.search_client import SearchClient
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import fill_indices, opensearch_at
from tests.benchmarks.options import interleaved_options
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import machine_line
from tests.benchmarks.samples import percentile_difference
from tests.support.indices.toy_index import index_body

INDICES = {"verifying-off": False, "verifying-on": True}
SHAPES: dict[str, dict[str, Any]] = {
    "whole sources": {},
    "no source, so one _mget more": {"_source": False},
    "highlight, two requests": {"highlight": {"fields": {"text": {}}}},
}
_NUM_QUERIES = 20


@click.command()
@interleaved_options(documents=3_000, rounds=300)
@bundle_option
def main(documents: int, rounds: int, upstream: str | None, bundle_path: Path) -> None:
    """Measure searches with and without it, interleaved."""
    bundle = Bundle.open(bundle_path)
    texts = [each.text for each in read_standard_library(documents)]
    with ExitStack() as running:
        url = running.enter_context(opensearch_at(upstream))
        bodies = {name: index_body(bundle, verify_at_search=verifies) for name, verifies in INDICES.items()}
        with OpenSearch(url, timeout=120) as client:
            fill_indices(client, bundle, texts, bodies)
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        proxy = running.enter_context(running_proxy(url, folder, bundle=bundle.path))
        taken = _measured(proxy.url, distinct_queries(texts, _NUM_QUERIES), rounds)
    click.echo(machine_line(len(texts)))
    for shape in SHAPES:
        off, on = (np.array(taken[shape, index]) for index in INDICES)
        added = percentile_difference(shape, off, on, 50)
        interval = f"{added.value:+.2f} ms ({added.low:+.2f} to {added.high:+.2f})"
        click.echo(f"{shape}: p50 {np.median(off):.2f} ms, with verify_at_search {interval}")


def _measured(url: str, queries: list[str], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Return the milliseconds of every shape and index."""
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    everything = [(shape, index) for shape in SHAPES for index in INDICES]
    order, warm_up = random.Random(0), min(_NUM_QUERIES, rounds)
    with SearchClient(url) as client:
        for number in range(warm_up + rounds):
            for shape, index in order.sample(everything, len(everything)):
                text = queries[number % _NUM_QUERIES]
                answer = client.search(index, {"query": {"match": {"text": text}}, **SHAPES[shape]})
                if not answer.status.startswith("applied") or ("stale=0" in answer.status) != INDICES[index]:
                    raise click.ClickException(f"expected a reranked search, found {answer.status}")
                if number >= warm_up:
                    taken[shape, index].append(answer.elapsed_ms)
    return taken


if __name__ == "__main__":
    main()
