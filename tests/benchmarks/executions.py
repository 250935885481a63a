"""The same searches straight at OpenSearch, reranked in the proxy, and rescored in the cluster."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from tests.benchmarks.samples import Figure, percentile_difference
from tests.benchmarks.sized_index import SizedIndex, query_texts

WINDOWS = (100, 1_000)
EXECUTIONS = ("sidecar", "cluster")
BUDGET_MS = 4.0
"""`cluster` with a window of 1,000 shall add no more at p50."""

FAT_RATIO = 1.5
"""The fattest documents shall be no dearer than the thinnest by more."""

_NUM_QUERIES = 20
_PLAIN = (0, "plain")


@dataclass(frozen=True)
class Cell:
    """One line of the table: (rounds,) milliseconds straight and reranked."""

    num_bytes: int
    window: int
    execution: str
    plain_ms: Floats64
    reranked_ms: Floats64

    @property
    def p50_ms(self) -> float:
        """The median of the reranked searches."""
        return float(np.median(self.reranked_ms))

    def added(self, percent: float) -> Figure:
        """Return what reranking adds at a percentile."""
        return percentile_difference("added", self.plain_ms, self.reranked_ms, percent)

    def row(self, thin: "Cell") -> str:
        """Return the line in Markdown; `thin` is the same with the smallest documents."""
        cells = (
            f"{self.num_bytes / 1000:g} KB", f"{self.window:,}", f"`{self.execution}`",
            f"{np.median(self.plain_ms):.2f} ms", f"{self.p50_ms:.2f} ms",
            _shown(self.added(50)) + self._budget(), _shown(self.added(95)),
            _ratio(self.p50_ms / thin.p50_ms),
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"

    def _budget(self) -> str:
        if (self.window, self.execution) != (max(WINDOWS), "cluster"):
            return ""
        return f"; at most {BUDGET_MS:+g}: {'kept' if self.added(50).value <= BUDGET_MS else 'missed'}"


def measure_executions(upstream: str, proxy: str, indices: Sequence[SizedIndex], rounds: int) -> list[Cell]:
    """Return a cell for every size, window and execution.

    In every round each is sent once, in an order drawn anew, the plain search among them.
    """
    kinds = [_PLAIN, *((window, execution) for window in WINDOWS for execution in EXECUTIONS)]
    found: dict[tuple[str, tuple[int, str]], list[float]] = defaultdict(list)
    queries, order, warm_up = query_texts(_NUM_QUERIES), random.Random(0), min(_NUM_QUERIES, rounds)
    everything = [(index, kind) for index in indices for kind in kinds]
    with SearchClient(upstream) as straight, SearchClient(proxy) as proxied:
        for number in range(warm_up + rounds):
            for index, kind in order.sample(everything, len(everything)):
                client = straight if kind == _PLAIN else proxied
                answer = client.search(index.name, _body(queries[number % _NUM_QUERIES], kind))
                _check(answer.status, kind)
                if number >= warm_up:
                    found[index.name, kind].append(answer.elapsed_ms)
    return [
        Cell(index.num_bytes, *kind, np.array(found[index.name, _PLAIN]), np.array(found[index.name, kind]))
        for index in indices
        for kind in kinds[1:]
    ]


def _body(text: str, kind: tuple[int, str]) -> dict[str, Any]:
    body: dict[str, Any] = {"query": {"match": {"title": text}}, "size": 10}
    if kind == _PLAIN:
        return body
    return {**body, "ext": {"rerank": {"window_size": kind[0], "execution": kind[1]}}}


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value <= FAT_RATIO else f"{value:.2f}; at most {FAT_RATIO:g}: missed"


def _check(status: str, kind: tuple[int, str]) -> None:
    """What is measured must be what was meant.

    Raises:
        RuntimeError: another answer.
    """
    if kind != _PLAIN and not (status.startswith("applied") and f"execution={kind[1]}" in status):
        raise RuntimeError(f"expected a search reranked by {kind[1]}, found {status!r}")


def _shown(figure: Figure) -> str:
    return f"{figure.value:+.2f} ms ({figure.low:+.2f} to {figure.high:+.2f})"
