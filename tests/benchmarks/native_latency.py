"""`python -m tests.benchmarks.native_latency`: native pipelines beside the proxy, on OpenSearch 2.19.1."""

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console

from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from opensearch.native import install
from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from reranker.bundle import Bundle
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
from tests.benchmarks.samples import Figure, median, percentile_difference
from tests.native.assembled import VERSION, assembled_server

INDEX = "benchmark"
PAGE, WINDOW = 10, 100
REPEATED = 20
_PLACEHOLDER = {"window_size": 1, "query": {"rescore_query": {"match_none": {}}}}

Body = Callable[[str], dict[str, Any]]


@dataclass(frozen=True)
class Variant:
    """One way to a page: through which client (0 straight, 1 proxy), to which path, with which body."""

    name: str
    side: int
    path: str
    body: Body


def match(text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a search for ten hits."""
    return {"query": {"match": {"text": text}}, "size": PAGE, **more}


def rescored(text: str) -> dict[str, Any]:
    """Return a search for ten hits of a window of 100 that the rescore pipeline fills in."""
    return match(text, rescore=_PLACEHOLDER, ext={"ml_inference": {"query_text": text}})


def page_of_vectors(text: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a search for a whole window with vectors: the rerank processor sees no more than the page."""
    return match(text, docvalue_fields=["rerank.vector"], **more) | {"size": WINDOW}


def reranked(text: str) -> dict[str, Any]:
    """Return that search for the rerank pipeline."""
    return page_of_vectors(text, ext={"rerank": {"query_context": {"query_text": text}}})


ALONE = {"fusion": {"feedback": 0, "smoothing": 0}}
"""So that the pages of all ways are the same: a pipeline has neither."""

_SEARCH = f"/{INDEX}/_search"
_PIPELINE = f"{_SEARCH}?search_pipeline={install.native_name(INDEX)}"
VARIANTS = (
    Variant("plain, 10 hits", 0, _SEARCH, match),
    Variant("proxy, 10 hits", 1, _SEARCH, match),
    Variant("rescore pipeline, 10 hits", 0, f"{_PIPELINE}-rescore", rescored),
    Variant("plain, 100 hits with vectors", 0, _SEARCH, page_of_vectors),
    Variant("rerank pipeline, 100 hits", 0, f"{_PIPELINE}-rerank", reranked),
)


@click.command()
@click.option("--documents", type=click.IntRange(min=100), default=3000, show_default=True)
@click.option("--rounds", type=click.IntRange(min=2), default=150, show_default=True)
@click.option("--write", is_flag=True, help="Write the figures into docs/reference/results.md.")
@bundle_option
def main(documents: int, rounds: int, write: bool, bundle_path: Path) -> None:
    """Measure what each way adds to a plain search, at the client, and whether their pages agree."""
    corpus, bundle = read_standard_library(documents), Bundle.open(bundle_path)
    queries = distinct_queries([each.text for each in corpus], REPEATED + (len(VARIANTS) + 1) * rounds)
    with tempfile.TemporaryDirectory(prefix="twinrank-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        server = assembled_server(folder / "server")
        url = server.start()
        try:
            index_docstrings(url, INDEX, corpus, bundle, ALONE)
            with running_proxy(url, folder, bundle=bundle.path) as proxy:
                _install(url, proxy.url)
                figures = list(_measured(url, proxy.url, queries, rounds))
        finally:
            server.stop()
    machine = f"OpenSearch {VERSION}. {machine_line(len(corpus))}"
    Console(highlight=False, width=140).print(machine, figures_table(figures), sep="\n")
    if write:
        section = figures_markdown(figures, machine)
        RESULTS.write_text(written_into(read_results(), section, "native latency", "Native latency"))


def _install(url: str, sidecar: str) -> None:
    options = install.NativeOptions(sidecar, read_timeout_s=10)
    with closing(OpenSearchClient(url)) as upstream:
        settings = metadata.find_write_index(upstream, INDEX).rerank_settings()
        for _ in install.install(upstream, install.placeholder_values(INDEX, settings, options)):
            pass


def _measured(url: str, proxy_url: str, queries: Sequence[str], rounds: int) -> Iterator[Figure]:
    repeated, distinct = queries[:REPEATED], queries[REPEATED:]
    with SearchClient(url) as straight, SearchClient(proxy_url) as proxied:
        clients = straight, proxied
        _interleaved(clients, repeated, rounds, lambda turn: turn % REPEATED)  # a warm-up, whole
        yield _agreement(clients, repeated)
        yield from _figures("repeated", _interleaved(clients, repeated, rounds, lambda turn: turn % REPEATED))
        yield from _figures("distinct", _interleaved(clients, distinct, rounds, lambda turn: turn))


def _interleaved(
    clients: Sequence[SearchClient], queries: Sequence[str], rounds: int, place: Callable[[int], int]
) -> Mapping[str, Floats64]:
    """Return for each variant (rounds,) milliseconds; a round sends each one once, in a drawn order."""
    found: dict[str, list[float]] = defaultdict(list)
    order, turn = random.Random(0), 0
    for _ in range(rounds):
        for variant in order.sample(VARIANTS, len(VARIANTS)):
            text = queries[place(turn)]
            turn += 1
            answer = clients[variant.side].request("POST", variant.path, variant.body(text))
            found[variant.name].append(answer.elapsed_ms)
    return {name: np.array(values) for name, values in found.items()}


def _agreement(clients: Sequence[SearchClient], queries: Sequence[str]) -> Figure:
    """Return on how many of the queries the rescore pipeline's page is the proxy's."""
    _, proxy, rescore, *_ = VARIANTS
    pages = [
        [clients[each.side].request("POST", each.path, each.body(text)).ids for each in (proxy, rescore)]
        for text in queries
    ]
    same = float(sum(one == other for one, other in pages))
    return Figure(
        f"rescore pipeline: pages of {len(queries)} that are the proxy's", same, same, same, "pages"
    )


def _figures(kind: str, measured: Mapping[str, Floats64]) -> Iterator[Figure]:
    plain = measured[VARIANTS[0].name]
    for variant in VARIANTS:
        yield median(f"{kind} queries: {variant.name}", measured[variant.name])
        if variant.name != VARIANTS[0].name:
            yield percentile_difference(
                f"{kind} queries: {variant.name}, over plain, p50", plain, measured[variant.name], 50
            )


if __name__ == "__main__":
    main()
