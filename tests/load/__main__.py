"""`python -m tests.load`: throughput and latency at rising request rates, in one interleaved run."""

import json
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click
from opensearchpy import OpenSearch
from rich.console import Console

from plugin.demo.docstrings import Documented, read_standard_library
from plugin.harness.proxy_process import running_proxy
from plugin.options.common import bundle_option
from reranker.bundle import Bundle
from tests.benchmarks.local_opensearch import index_docstrings, opensearch_at
from tests.benchmarks.options import upstream_option
from tests.benchmarks.queries import distinct_queries
from tests.benchmarks.report import RESULTS, machine_line, read_results, written_into
from tests.load.nginx import found_nginx, running_nginx
from tests.load.report import HEADING, MARK, draw, remarks_of, section
from tests.load.series import Series, measure, sent

RATES = (25.0, 50.0, 100.0, 150.0, 200.0, 300.0, 400.0, 600.0, 800.0, 1200.0)
INDEX, PLAIN = "load", "load-plain"
REPEATED = 20
DISTINCT = 60_000
"""Queries that are made; where a run needs more, the first ones come again, long out of the cache."""


class _Rates(click.ParamType[tuple[float, ...]]):
    """Requests a second: 25,50,100."""

    name = "25,50,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Read the list."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(sorted(float(part) for part in str(value).split(",")))
        except ValueError:
            self.fail(f"expected rates such as 25,50,100, found {value!r}", param, ctx)


@click.command()
@click.option("--rates", type=_Rates(), default=RATES, help="Requests a second, rising.")
@click.option("--seconds", type=click.FloatRange(0.2), default=10.0, show_default=True, help="A run.")
@click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each, interleaved."
)
@click.option("--warm-up", type=click.FloatRange(0), default=60.0, show_default=True, help="Seconds before.")
@click.option("--documents", type=click.IntRange(min=100), help="Index only so many docstrings.")
@upstream_option
@click.option("--nginx", default=found_nginx, help="nginx's program.  [default: the one on the path]")
@click.option("--write", is_flag=True, help="Write docs/reference/results.md and its graph.")
@bundle_option
def main(
    rates: tuple[float, ...],
    seconds: float,
    rounds: int,
    warm_up: float,
    documents: int | None,
    upstream: str | None,
    nginx: str | None,
    write: bool,
    bundle_path: Path,
) -> None:
    """Send searches at rising rates: straight, through nginx, passed through, reranked."""
    corpus = read_standard_library(documents)
    console, machine = Console(highlight=False, width=160), machine_line(len(corpus))
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="twinrank-load-")))
        url = running.enter_context(opensearch_at(upstream, "load"))
        bundle = Bundle.open(bundle_path)
        _index(url, bundle, corpus)
        proxy = running.enter_context(running_proxy(url, folder, bundle=bundle.path))
        beside = (
            running.enter_context(running_nginx(nginx, url, folder, os.cpu_count() or 1)) if nginx else None
        )
        series = _series(url, proxy.url, beside, [document.text for document in corpus])
        for each in series if warm_up else ():
            sent(each.plan(20.0, warm_up / len(series), seed=99))
        points = measure(series, rates, seconds, rounds, lambda what: console.print(what, style="dim"))
    without = [] if nginx else ["nginx is not installed here, so it is not beside them."]
    command = f"python -m tests.load --seconds {seconds:g} --rounds {rounds}"
    text = section(points, command, machine, [*without, *remarks_of(points)])
    console.print(text)
    if write:
        draw(points)
        RESULTS.write_text(written_into(read_results(), text, MARK, HEADING))


def _series(url: str, proxy: str, nginx: str | None, texts: list[str]) -> list[Series]:
    """Return what is measured; the first three are the same searches of the same index."""
    queries = [_body(text) for text in distinct_queries(texts, DISTINCT)]
    repeated = queries[:REPEATED]
    plain = [Series("OpenSearch straight", url, PLAIN, queries, repeats=False)]
    if nginx:
        plain.append(Series("nginx", nginx, PLAIN, queries, repeats=False))
    return [
        *plain,
        Series("passed through", proxy, PLAIN, queries, repeats=False),
        Series("reranked, distinct", proxy, INDEX, queries[REPEATED:], repeats=False),
        Series("reranked, repeated", proxy, INDEX, repeated),
    ]


def _body(text: str) -> str:
    return json.dumps({"query": {"match": {"text": text}}, "size": 10})


def _index(url: str, bundle: Bundle, documents: list[Documented]) -> None:
    """Index the documents with their vectors, and a copy without vectors and settings."""
    index_docstrings(url, INDEX, documents, bundle)
    with OpenSearch(url, timeout=300) as client:
        client.indices.delete(index=PLAIN, ignore_unavailable=True)
        client.indices.create(
            index=PLAIN, body={"settings": {"number_of_shards": 1, "number_of_replicas": 0}}
        )
        copied = {"source": {"index": INDEX, "_source": {"excludes": ["rerank"]}}, "dest": {"index": PLAIN}}
        client.reindex(body=copied, params={"refresh": "true"})
        for name in (INDEX, PLAIN):
            client.indices.forcemerge(index=name, params={"max_num_segments": 1})


if __name__ == "__main__":
    main()
