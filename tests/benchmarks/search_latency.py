"""Searches straight at OpenSearch and through the proxy, interleaved on one keep-alive client."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from plugin.upstream.search_client import SearchClient
from reranker.arrays import Floats64
from tests.benchmarks.samples import Figure, median, percentile_difference

PAGE = 10
_REPEATED = 20


@dataclass(frozen=True)
class Target:
    """Where the searches go: both addresses, and the index of docstrings."""

    upstream: str
    proxy: str
    index: str


@dataclass(frozen=True)
class Kind:
    """One kind of request that is compared: its name, the request of a round, and the budget it has."""

    name: str
    request: Callable[[int], tuple[str, str, dict[str, Any] | None]]
    budget_ms: float


def added_latency(target: Target, queries: Sequence[str], rounds: int) -> Iterator[Figure]:
    """Yield what the proxy adds to each kind of request, at p50 and p95, and both sides' medians.

    In every round each kind is sent both ways, in an order drawn anew, so that warm caches, clock speed and
    neighbours favour neither side.
    """
    kinds = _kinds(target.index, queries)
    straight, proxied = _measure(target, kinds, rounds)
    for kind in kinds:
        both = straight[kind.name], proxied[kind.name]
        yield median(f"{kind.name}: straight", both[0])
        yield median(f"{kind.name}: through the proxy", both[1])
        yield percentile_difference(f"{kind.name}: added, p50", *both, 50, kind.budget_ms)
        yield percentile_difference(f"{kind.name}: added, p95", *both, 95)


def match_body(query: str) -> dict[str, Any]:
    """Return a plain search for the first page."""
    return {"query": {"match": {"text": query}}, "size": PAGE}


def _kinds(index: str, queries: Sequence[str]) -> list[Kind]:
    def search(body: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
        return "POST", f"/{index}/_search", body

    repeated = queries[:_REPEATED]
    return [
        Kind("search, distinct queries", lambda i: search(match_body(queries[_REPEATED + i])), 6.0),
        Kind("search, repeated queries", lambda i: search(match_body(repeated[i % _REPEATED])), 3.5),
        Kind(
            "search with a sort, passed through",
            lambda i: search({**match_body(queries[_REPEATED + i]), "sort": ["_doc"]}),
            1.5,
        ),
        Kind("_count, passed through", lambda i: ("GET", f"/{index}/_count", None), 1.5),
    ]


def _measure(
    target: Target, kinds: Sequence[Kind], rounds: int
) -> tuple[dict[str, Floats64], dict[str, Floats64]]:
    """Return for each kind (rounds,) milliseconds straight and through the proxy."""
    found: tuple[dict[str, list[float]], dict[str, list[float]]] = defaultdict(list), defaultdict(list)
    order = random.Random(0)
    with SearchClient(target.upstream) as straight, SearchClient(target.proxy) as proxied:
        clients = straight, proxied
        _warm_up(clients, kinds)
        both_ways = [(kind, side) for kind in kinds for side in (0, 1)]
        for i in range(rounds):
            for kind, side in order.sample(both_ways, len(both_ways)):
                found[side][kind.name].append(clients[side].request(*kind.request(i)).elapsed_ms)
    straight_ms, proxied_ms = ({name: np.array(ms) for name, ms in side.items()} for side in found)
    return straight_ms, proxied_ms


def _warm_up(clients: Sequence[SearchClient], kinds: Sequence[Kind]) -> None:
    """Warm connections, code paths and the repeated queries, but no distinct query: kinds[0] is not sent."""
    for i in range(_REPEATED):
        for kind in kinds[1:]:
            for client in clients:
                client.request(*kind.request(i))
