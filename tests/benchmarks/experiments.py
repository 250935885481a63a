"""`python -m tests.benchmarks.experiments`: what an experiment adds to searches of its control.

The same docstrings in several indices; every round sends one search to each, in an order drawn again. All
searches have `ext.ubi`, so they are recorded.
"""

import random
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
from opensearchpy import OpenSearch

from plugin.demo.docstrings import read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from plugin.ubi.indices import EVENTS, QUERIES, read_mapping
from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import fill_indices, opensearch_at
from tests.benchmarks.options import interleaved_options
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import machine_line
from tests.benchmarks.samples import bound_ratio, percentile_difference
from tests.support.indices.toy_index import index_body

ARMS: dict[str, Any] = {"control": "opensearch", "reranked": {}}
ALIKE: dict[str, Any] = {"control": {}, "other": {}}
SHADOW: dict[str, Any] = {"name": "c", "mode": "shadow", "arms": ARMS}
NO_EXPERIMENT = "no experiment, passed through"
KINDS: dict[str, dict[str, Any]] = {
    NO_EXPERIMENT: {"enabled": False},
    "split, the control opensearch": {"experiment": {"name": "b", "mode": "split", "arms": ARMS}},
    "shadow, the control opensearch, 5 % compared": {"experiment": SHADOW},
    "shadow, the control opensearch, all compared": {"experiment": SHADOW | {"name": "d", "share": 1}},
    "reranked, no experiment": {},
    "reranked, split, the control as it is": {"experiment": {"name": "a", "mode": "split", "arms": ALIKE}},
}
_PREFIX = "experiment-latency-"
_NUM_QUERIES, _NUM_UNITS = 20, 50


@click.command()
@interleaved_options(documents=3_000, rounds=500)
@bundle_option
def main(documents: int, rounds: int, upstream: str | None, bundle_path: Path) -> None:
    """Measure searches with and without an experiment, interleaved."""
    bundle = Bundle.open(bundle_path)
    texts = [each.text for each in read_standard_library(documents)]
    with ExitStack() as running:
        url = running.enter_context(opensearch_at(upstream))
        indices = _make_indices(url, bundle, texts)
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-")))
        proxy = running.enter_context(running_proxy(url, folder, bundle=bundle.path))
        taken = _measure(proxy.url, indices, distinct_queries(texts, _NUM_QUERIES), rounds)
    click.echo(machine_line(len(texts)))
    base = taken[NO_EXPERIMENT]
    for kind, ms in taken.items():
        added, (low, high) = percentile_difference(kind, base, ms, 50), bound_ratio(base, ms)
        difference = f"{added.value:+.2f} ms ({added.low:+.2f} to {added.high:+.2f})"
        ratio = f"times {np.median(ms) / np.median(base):.3f} ({low:.3f} to {high:.3f})"
        click.echo(f"{kind}: p50 {np.median(ms):.2f} ms, {difference}, {ratio}")


def _make_indices(url: str, bundle: Bundle, texts: list[str]) -> dict[str, str]:
    """Make the index of each kind, and those of UBI; return their names."""
    names = {kind: f"{_PREFIX}{number}" for number, kind in enumerate(KINDS)}
    bodies = {}
    for kind, settings in KINDS.items():
        bodies[names[kind]] = index_body(bundle, **settings)
        bodies[names[kind]]["mappings"]["_meta"]["rerank"]["model"] = bundle.vectors_of
    with OpenSearch(url, timeout=120) as client:
        client.indices.delete(index=f"{QUERIES},{EVENTS}", ignore_unavailable=True)
        for name in (QUERIES, EVENTS):
            client.indices.create(index=name, body={"mappings": read_mapping(name)})
        fill_indices(client, bundle, texts, bodies)
    return names


def _measure(url: str, indices: Mapping[str, str], queries: list[str], rounds: int) -> dict[str, Floats64]:
    """Return for each kind (rounds,) milliseconds."""
    taken: dict[str, list[float]] = defaultdict(list)
    order = random.Random(0)
    with SearchClient(url) as client:

        def search(kind: str, text: str, unit: str) -> tuple[float, str]:
            ext = {"ubi": {"client_id": unit, "user_query": text}}
            body = {"query": {"match": {"text": text}}, "size": 10, "ext": ext}
            answer = client.search(indices[kind], body)
            return answer.elapsed_ms, answer.status

        units = {kind: _find_unit(kind, search) for kind in KINDS}
        for number in range(_NUM_QUERIES + rounds):
            for kind in order.sample(list(KINDS), len(KINDS)):
                elapsed_ms, status = search(kind, queries[number % _NUM_QUERIES], units[kind])
                if status.startswith("applied") != kind.startswith("reranked"):
                    raise click.ClickException(f"{kind}: found {status}")
                if number >= _NUM_QUERIES:
                    taken[kind].append(elapsed_ms)
    return {kind: np.array(taken[kind]) for kind in KINDS}


def _find_unit(kind: str, search: Callable[[str, str, str], tuple[float, str]]) -> str:
    """Return a unit whose arm is the control, any if there is no experiment."""
    for unit in map(str, range(_NUM_UNITS)):
        _, status = search(kind, "how to wait", unit)
        if "experiment" not in KINDS[kind] or status.endswith("arm=control"):
            return unit
    raise click.ClickException(f"{kind}: expected a unit with the control, found none")


if __name__ == "__main__":
    main()
