"""How many reranked searches a second, with clients that share the machine's cores."""

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from plugin.upstream.search_client import SearchClient
from tests.benchmarks.samples import Figure
from tests.benchmarks.search_latency import Target, match_body

CLIENTS = (2, 4, 8)


def searches_a_second(
    target: Target, queries: Sequence[str], seconds: float, clients: Sequence[int] = CLIENTS
) -> Iterator[Figure]:
    """Yield searches a second with distinct and with repeated queries, and straight for comparison.

    `queries` are distinct, were never sent before, and are enough for the seconds asked for.
    """
    distinct, repeated, straight = iter(queries), itertools.cycle(queries[:20]), itertools.cycle(queries)
    for count in clients:
        name = f"searches a second, {count} clients"
        yield _rate(f"{name}, straight", target.upstream, target.index, straight, seconds, count)
        yield _rate(f"{name}, reranked, distinct", target.proxy, target.index, distinct, seconds, count, 150)
        yield _rate(f"{name}, reranked, repeated", target.proxy, target.index, repeated, seconds, count, 400)


def warm_up(target: Target, queries: Sequence[str], seconds: float) -> None:
    """Search both ways, half the time each: a Java server reaches its speed after thousands of searches."""
    for url in (target.upstream, target.proxy):
        _rate("warm-up", url, target.index, itertools.cycle(queries), seconds / 2, 2)


def _rate(
    name: str,
    url: str,
    index: str,
    queries: Iterator[str],
    seconds: float,
    clients: int,
    budget: float | None = None,
) -> Figure:
    end = perf_counter() + seconds

    def run() -> int:
        done = 0
        with SearchClient(url) as client:
            while perf_counter() < end:
                client.search(index, match_body(next(queries)))  # next() on an iterator made in C is atomic
                done += 1
        return done

    with ThreadPoolExecutor(clients) as pool:
        counts = [future.result() for future in [pool.submit(run) for _ in range(clients)]]
    low, total, high = (clients * min(counts), sum(counts), clients * max(counts))
    return Figure(name, total / seconds, low / seconds, high / seconds, "1/s", budget, at_least=True)
