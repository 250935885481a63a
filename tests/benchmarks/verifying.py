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
from opensearchpy import OpenSearch, helpers

from plugin.commands.local_server import find_home, make_local_server
from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.upstream.search_client import SearchClient
from reranker.bundle import Bundle
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import machine_line
from tests.benchmarks.samples import percentile_difference
from tests.support.indices.toy_index import CHUNKING, index_body, vector_member

INDICES = {"verifying-off": False, "verifying-on": True}
SHAPES: dict[str, dict[str, Any]] = {
    "whole sources": {},
    "no source, so one _mget more": {"_source": False},
    "highlight, two requests": {"highlight": {"fields": {"text": {}}}},
}
_NUM_QUERIES = 20


@click.command()
@click.option("--documents", type=click.IntRange(min=150), default=3_000, help="Docstrings to index.")
@click.option("--rounds", type=click.IntRange(min=3), default=300, help="Rounds of all searches.")
@click.option("--upstream", help="An OpenSearch to use.  [default: one of its own, stopped at the end]")
@bundle_option
def main(documents: int, rounds: int, upstream: str | None, bundle_path: Path) -> None:
    """Measure searches with and without it, interleaved."""
    bundle = Bundle.open(bundle_path)
    texts = [each.text for each in read_standard_library(documents)]
    with ExitStack() as running:
        url = upstream or _own_opensearch(running)
        _make_indices(url, bundle, texts)
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        proxy = running.enter_context(running_proxy(url, folder, bundle=bundle.path))
        taken = _measured(proxy.url, distinct_queries(texts, _NUM_QUERIES), rounds)
    click.echo(machine_line(len(texts)))
    for shape in SHAPES:
        off, on = (np.array(taken[shape, index]) for index in INDICES)
        added = percentile_difference(shape, off, on, 50)
        interval = f"{added.value:+.2f} ms ({added.low:+.2f} to {added.high:+.2f})"
        click.echo(f"{shape}: p50 {np.median(off):.2f} ms, with verify_at_search {interval}")


def _make_indices(url: str, bundle: Bundle, texts: list[str]) -> None:
    vectors = bundle.load_document_encoder(threads=2)(texts, CHUNKING)
    sources = [
        {"text": text, **vector_member(bundle, text, vector)}
        for text, vector in zip(texts, vectors, strict=True)
    ]
    with OpenSearch(url, timeout=120) as client:
        for name, verifies in INDICES.items():
            client.indices.delete(index=name, ignore_unavailable=True)
            client.indices.create(index=name, body=index_body(bundle, verify_at_search=verifies))
            actions = ({"_index": name, "_id": str(n), "_source": one} for n, one in enumerate(sources))
            helpers.bulk(client, actions, chunk_size=500)
            client.indices.forcemerge(index=name, max_num_segments=1)
            client.indices.refresh(index=name)


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


def _own_opensearch(running: ExitStack) -> str:
    server = make_local_server(port=0, folder=find_home() / "benchmark")
    running.callback(server.stop)
    return server.start()


if __name__ == "__main__":
    main()
