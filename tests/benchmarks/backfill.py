"""`python -m tests.benchmarks.backfill`: a backfill of short documents, killed and resumed, beside searches.

First the rate against the bare encoder's on the same texts, and a second pass over unchanged data; then the
backfill of many documents, whose runs are killed with -9 at equal parts of the way, with a log of its rate
and of what it did to the searches meanwhile.
"""

import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from opensearchpy import OpenSearch, helpers

from plugin.demo.docstrings import read_standard_library
from plugin.options.common import bundle_option
from plugin.upstream.search_client import SearchClient
from reranker.bundle import Bundle
from reranker.text import Chunking
from tests.benchmarks.local_opensearch import opensearch_at
from tests.benchmarks.options import upstream_option
from tests.benchmarks.report import machine_line

ROOT = Path(__file__).parents[2]
PAGE = 1024
REPORT_S = 5.0
SEARCHES_S = 20.0
NOTICED_S = 0.1
"""A difference of two runs that is smaller is within the noise of starting a process."""


def short_texts(count: int) -> list[str]:
    """Return distinct texts of 8 to 16 words, cut from the standard library's docstrings."""
    words = [word for documented in read_standard_library(2000) for word in documented.text.split()]
    chosen = random.Random(0)
    starts = (chosen.randrange(len(words) - 16) for _ in range(count))
    return [
        f"{number} " + " ".join(words[start : start + 8 + number % 9]) for number, start in enumerate(starts)
    ]


class Searches:
    """One client that searches steadily in a thread; `taken_ms` holds what each search took."""

    def __init__(self, url: str, index: str, texts: list[str]) -> None:
        self._url, self._index, self._texts = url, index, texts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.taken_ms: list[float] = []

    def __enter__(self) -> "Searches":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        chosen = random.Random(1)
        with SearchClient(self._url) as client:
            while not self._stop.wait(1 / SEARCHES_S):
                body: dict[str, Any] = {"query": {"match": {"text": chosen.choice(self._texts)}}, "size": 10}
                started = time.perf_counter()
                client.search(self._index, body)
                self.taken_ms.append((time.perf_counter() - started) * 1000)

    def told(self, since: int) -> str:
        """Return p50 and p95 of the searches since a position."""
        taken = self.taken_ms[since:]
        return (
            "no search"
            if not taken
            else "search p50 {:.1f} ms, p95 {:.1f} ms".format(*np.percentile(taken, [50, 95]))
        )


def make_index(client: OpenSearch, name: str, bundle: Bundle, texts: list[str]) -> None:
    """Make an index of those texts, enabled, without vectors."""
    vector = {"type": "binary", "doc_values": True}
    mappings = {
        "_meta": {"rerank": {"model": bundle.name, "source_fields": ["text"]}},
        "properties": {"text": {"type": "text"}, "rerank": {"properties": {"vector": vector}}},
    }
    client.indices.delete(index=name, ignore_unavailable=True)
    settings = {"number_of_shards": 2, "number_of_replicas": 0}
    client.indices.create(index=name, body={"settings": settings, "mappings": mappings})
    actions = ({"_index": name, "_id": str(n), "_source": {"text": text}} for n, text in enumerate(texts))
    helpers.bulk(client, actions, chunk_size=5000, request_timeout=120)
    client.indices.refresh(index=name)


def sync(url: str, name: str, bundle: Bundle, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a sync."""
    return subprocess.Popen(
        [sys.executable, "-m", "plugin", "sync", name, "--json", *arguments,
         "--upstream", url, "--bundle", str(bundle.path)],
        cwd=ROOT, stdout=subprocess.PIPE,
    )  # fmt: skip


def synced(url: str, name: str, bundle: Bundle, *arguments: str) -> dict[str, Any]:
    """Sync to the end and return the report."""
    output, _ = sync(url, name, bundle, *arguments).communicate()
    report: dict[str, Any] = json.loads(output)
    return report


def rates(url: str, client: OpenSearch, bundle: Bundle, texts: list[str]) -> Iterator[str]:
    """Yield the rates: the bare encoder's before and after, the backfill's, the second pass's.

    On the wall and a processor second: others who use the machine change the second little. What a sync costs
    that finds nothing to do, its start, is taken off in both.
    """
    encode = bundle.load_document_encoder(threads=os.cpu_count() or 1)

    def bare() -> Spent:
        begun = Spent.until_now(resource.RUSAGE_SELF)
        for start in range(0, len(texts), PAGE):
            encode(texts[start : start + PAGE], Chunking())
        return Spent.until_now(resource.RUSAGE_SELF) - begun

    def run(*arguments: str) -> tuple[Spent, dict[str, Any]]:
        begun = Spent.until_now(resource.RUSAGE_CHILDREN)
        report = synced(url, "backfill-rate", bundle, *arguments)
        return Spent.until_now(resource.RUSAGE_CHILDREN) - begun, report

    make_index(client, "backfill-rate", bundle, texts)
    encode(texts[:64], Chunking())
    before, (backfill, done), after = bare(), run(), bare()
    idle, _ = run()
    scratch, again = run("--from-scratch")
    count = len(texts)
    if (done["written"], again["checked"], again["written"]) != (count, count, 0):
        raise click.ClickException(f"expected {count} written, then none, found {done}, {again}")
    alone, fed = before + after, backfill - idle
    wall, cpu = alone.wall_s / 2 / fed.wall_s, alone.cpu_s / 2 / fed.cpu_s
    second = fed.wall_s / max((scratch - idle).wall_s, NOTICED_S)
    yield f"bare encoder: {before.rates(count)} before, {after.rates(count)} after"
    yield f"backfill: {fed.rates(count)}"
    yield f"of the bare encoder: {wall:.1%}, a processor second {cpu:.1%} (aim: 90 %): {verdict(wall >= 0.9)}"
    told = verdict(second >= 20)
    yield f"second pass, nothing changed: at least {second:.0f} times as fast (aim: 20): {told}"


@dataclass(frozen=True)
class Spent:
    """Time on the wall and of the processor, in seconds."""

    wall_s: float
    cpu_s: float

    @classmethod
    def until_now(cls, whose: int) -> "Spent":
        """Return the clocks, the processor's as `resource.getrusage` counts it."""
        usage = resource.getrusage(whose)
        return cls(time.perf_counter(), usage.ru_utime + usage.ru_stime)

    def __sub__(self, other: "Spent") -> "Spent":
        """Return the difference."""
        return Spent(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)

    def __add__(self, other: "Spent") -> "Spent":
        """Return the sum."""
        return Spent(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def rates(self, count: int) -> str:
        """Return how many documents that was a second."""
        return f"{count / self.wall_s:.0f}/s ({count / self.cpu_s:.0f} a processor second)"


def verdict(is_met: bool) -> str:
    """Return whether an aim is met, in a word."""
    return "met" if is_met else "missed"


def killed_backfill(
    url: str, client: OpenSearch, bundle: Bundle, texts: list[str], kills: int
) -> Iterator[str]:
    """Yield the log of a backfill that is killed so often."""
    make_index(client, "backfill", bundle, texts)
    with Searches(url, "backfill", texts) as searches:
        time.sleep(REPORT_S)
        yield f"before: {searches.told(0)}"
        started, killed, child = time.monotonic(), 0, sync(url, "backfill", bundle)
        done = 0
        try:
            while child.poll() is None:
                since, seen = time.monotonic(), len(searches.taken_ms)
                time.sleep(REPORT_S)
                before, done = done, _with_vector(client)
                rate = (done - before) / (time.monotonic() - since)
                at_s = time.monotonic() - started
                where = f"{at_s:.0f} s: {done} of {len(texts)}, {rate:.0f}/s, {killed} kills"
                yield f"{where}, {searches.told(seen)}"
                if killed < kills and done >= len(texts) * (killed + 1) / (kills + 1):
                    child.kill()
                    child.communicate()
                    killed += 1
                    child = sync(url, "backfill", bundle)
            report = json.loads(child.communicate()[0])
        finally:
            child.kill()
            child.wait()
    took_s = time.monotonic() - started
    yield f"end: {_with_vector(client)} of {len(texts)} with vector, {killed} kills, {took_s:.0f} s"
    yield f"last run: {json.dumps(report)}"


def _with_vector(client: OpenSearch) -> int:
    client.indices.refresh(index="backfill")
    body = {"query": {"exists": {"field": "rerank.vector"}}}
    count: int = client.count(index="backfill", body=body)["count"]
    return count


@click.command()
@click.option("--documents", default=200_000, show_default=True, help="Of the killed backfill.")
@click.option("--kills", default=10, show_default=True)
@click.option("--sample", default=4000, show_default=True, help="Documents of the rates.")
@upstream_option
@bundle_option
def main(documents: int, kills: int, sample: int, upstream: str | None, bundle_path: Path) -> None:
    """Measure a backfill."""
    bundle = Bundle.open(bundle_path)
    click.echo(machine_line(documents).replace("docstrings", "short documents"))
    with opensearch_at(upstream) as url, OpenSearch(url, timeout=120) as client:
        for line in rates(url, client, bundle, short_texts(sample)):
            click.echo(line)
        for line in killed_backfill(url, client, bundle, short_texts(documents), kills):
            click.echo(line)


if __name__ == "__main__":
    main()
