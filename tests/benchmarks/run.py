"""All measurements, one after another, on a real OpenSearch with the standard library's docstrings."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plugin.demo.docstrings import Documented
from plugin.harness.proxy_process import ProxyProcess, running_proxy
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import index_docstrings
from tests.benchmarks.memory import worker_memory
from tests.benchmarks.model_speed import crossing, query_encoding
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.samples import Figure
from tests.benchmarks.search_latency import Target, added_latency
from tests.benchmarks.throughput import CLIENTS, searches_a_second, warm_up

INDEX = "benchmark"
FASTEST_A_SECOND = 3000
"""No run of reranked searches is faster: so many distinct queries are made for each second."""


@dataclass(frozen=True)
class Sizes:
    """How much is measured: encodings of each length, crossings, rounds of requests, seconds of load.

    `warm_up_s` seconds of searches go before all requests: for so long OpenSearch compiles its own code, on
    one of the cores that are measured.
    """

    encodings: int = 200
    crossings: int = 2000
    rounds: int = 400
    load_s: float = 2.0
    warm_up_s: float = 60.0


QUICK = Sizes(encodings=10, crossings=20, rounds=10, load_s=0.2, warm_up_s=0.2)
WARM_UP_QUERIES = 50


def measure_all(upstream: str, bundle: Bundle, documents: list[Documented], sizes: Sizes) -> Iterator[Figure]:
    """Yield every figure.

    Raises:
        CommandError, OpenSearchError: the index or the proxy could not be made.
    """
    yield from query_encoding(bundle, sizes.encodings)
    yield from crossing(bundle, sizes.crossings)
    with tempfile.TemporaryDirectory(prefix="twinrank-") as temporary:
        folder = Path(temporary)
        index_docstrings(upstream, INDEX, documents, bundle)
        with running_proxy(upstream, folder, bundle=bundle.path) as proxy:
            yield from _through(proxy, upstream, [document.text for document in documents], sizes)


def _through(proxy: ProxyProcess, upstream: str, texts: list[str], sizes: Sizes) -> Iterator[Figure]:
    target = Target(upstream, proxy.url, INDEX)
    num_latency = WARM_UP_QUERIES + sizes.rounds + 100
    num_load = int(FASTEST_A_SECOND * sizes.load_s * len(CLIENTS))
    queries = distinct_queries(texts, num_latency + num_load)
    warm_up(target, queries[:WARM_UP_QUERIES], sizes.warm_up_s)
    yield from added_latency(target, queries[WARM_UP_QUERIES:num_latency], sizes.rounds)
    yield from searches_a_second(target, queries[num_latency:], sizes.load_s)
    yield from worker_memory(proxy.child.pid)
