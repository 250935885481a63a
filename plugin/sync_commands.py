"""`twinrank sync`: arguments in, words out."""

import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from indexer.enrich import Enricher
from indexer.feed import Run, StoppedError
from indexer.lease import Leases
from indexer.sync import Sync, Wanted
from indexer.sync_summary import SyncSummary
from indexer.throttle import Throttle
from opensearch.checkpoints import Checkpoints
from opensearch.client import Upstream, path_of
from opensearch.errors import RequestError
from opensearch.indices import Index
from plugin.index_commands import connected, enricher_of
from plugin.options import bundle_option, json_option, upstream_option
from plugin.sync_progress import sync_progress
from reranker.bundle import Bundle

REPORT_S = 10.0
"""How often `--follow` prints a line."""


class _Shards(click.ParamType[frozenset[int]]):
    """A list of shard numbers: 0,2."""

    name = "0,2,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> frozenset[int]:
        """Read the list."""
        try:
            return frozenset(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"expected shard numbers such as 0,2, found {value!r}", param, ctx)


@click.command("sync")
@click.argument("index")
@click.option("--follow", is_flag=True, help="Go on until stopped.")
@click.option("--from-scratch", is_flag=True, help="Look at every document, whatever was looked at before.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="At most so many written documents a second."
)
@click.option("--shards", type=_Shards(), help="Only these shards: a partition for one of many tasks.")
@click.option(
    "--threads", type=click.IntRange(1), default=os.cpu_count(), show_default=True, help="Of the encoder."
)
@json_option
@bundle_option
@upstream_option
def sync_command(
    index: str,
    follow: bool,
    from_scratch: bool,
    rate: float | None,
    shards: frozenset[int] | None,
    threads: int,
    as_json: bool,
    bundle_path: Path,
    url: str,
) -> None:
    """Give every document of INDEX a current vector, or none, whoever wrote it and how."""
    bundle = Bundle.open(bundle_path)
    with connected(url) as upstream, sync_progress(hidden=as_json) as (console, show), stopping() as stop:
        run = Run(
            upstream,
            throttle=Throttle(rate, lambda: _probe(upstream, index)),
            stop=stop,
            progress=_told(show, reporting=follow, as_json=as_json),
            waiting=lambda reason: console.print("Waiting:", reason, markup=False),
        )
        leases = Leases(Checkpoints(upstream), runner_name(), patience=run.patience, waiting=run.waiting)
        leases.checkpoints.ensure()
        sync = Sync(run, leases, Wanted(index, shards, from_scratch), _enrichers(bundle, threads))
        started = time.monotonic()
        try:
            sync.follow() if follow else sync.once()
        except StoppedError:
            pass
        except RequestError as error:
            if not run.summary.checked:
                raise
            run.summary.stopped = str(error)
        run.summary.seconds = time.monotonic() - started
    click.echo(json.dumps(run.summary.as_json()) if as_json else run.summary.in_words())
    if not run.summary.complete:
        raise click.exceptions.Exit(1)


def runner_name() -> str:
    """Return a name for this run that no other has, and that says where it runs."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: the batch in hand is finished, the lease let go."""
    stop = threading.Event()
    numbers = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _enrichers(bundle: Bundle, threads: int) -> Callable[[Index], list[Enricher]]:
    """Return what makes an index's enrichers; the encoder is loaded once."""
    encode = bundle.document_encoder(threads=threads)
    return lambda index: [enricher_of(index, bundle, encode)]


def _probe(upstream: Upstream, index: str) -> None:
    upstream.request("POST", path_of(index, "_search"), {"size": 1, "track_total_hits": False})


def _told(
    show: Callable[[SyncSummary], None], *, reporting: bool, as_json: bool
) -> Callable[[SyncSummary], None]:
    """Return what shows progress, and prints a line every few seconds where that is wanted."""
    started = last = time.monotonic()

    def tell(summary: SyncSummary) -> None:
        nonlocal last
        show(summary)
        if reporting and time.monotonic() - last > REPORT_S:
            last = time.monotonic()
            summary.seconds = last - started
            click.echo(json.dumps(summary.as_json()) if as_json else summary.in_words())

    return tell
