"""`twinrank sync`, and a run of sync as other commands start it too."""

import json
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from indexer.sync.lease import Leases
from indexer.sync.runner import Sync, SyncScope
from indexer.sync.shard_pass import Run, StoppedError
from indexer.sync.summary import SyncSummary
from indexer.sync.throttle import Throttle
from indexer.vector_fields import FieldPolicy
from opensearch.changes.checkpoints import Checkpoints
from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import RequestError
from opensearch.index.metadata import Index
from plugin.commands.connection import open_client
from plugin.commands.field_policies import build_field_policies
from plugin.commands.language_notes import record_all_languages
from plugin.commands.progress import show_sync_progress
from plugin.http.listen_address import ListenAddress, ListenType
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.telemetry.sync_metrics import SyncMetrics
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

REPORT_S = 10.0
"""Seconds between two lines of `--follow`."""


@dataclass(frozen=True)
class SyncOptions:
    """A user's options. `threads` are the encoder's, `rate` limits written documents a second.

    `until_stdin_ends`: the run ends when standard input does. `metrics` is the address that serves metrics
    to Prometheus; None: none.
    """

    follow: bool = False
    from_scratch: bool = False
    rate: float | None = None
    shards: frozenset[int] | None = None
    threads: int = os.cpu_count() or 1
    as_json: bool = False
    until_stdin_ends: bool = False
    metrics: ListenAddress | None = None


class _ShardNumbers(click.ParamType[frozenset[int]]):
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
@click.option("--follow", is_flag=True, help="Keep running until stopped.")
@click.option("--from-scratch", is_flag=True, help="Check every document, including those checked before.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Write at most this many documents a second."
)
@click.option(
    "--shards", type=_ShardNumbers(), help="Sync only these shards, so that several tasks can share an index."
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    default=os.cpu_count(),
    show_default="one a core",
    help="Of the encoder.",
)
@click.option(
    "--metrics", type=ListenType(), metavar="HOST:PORT", help="Serve metrics to Prometheus at this address."
)
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
@json_option
@bundle_option
@connection_options
def sync_command(
    index: str,
    follow: bool,
    from_scratch: bool,
    rate: float | None,
    shards: frozenset[int] | None,
    threads: int,
    metrics: ListenAddress | None,
    until_stdin_ends: bool,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Bring the vectors of INDEX up to date, however its documents were written."""
    options = SyncOptions(follow, from_scratch, rate, shards, threads, as_json, until_stdin_ends, metrics)
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        record_all_languages(upstream, index, bundle)
    run_sync(connecting, index, bundle, options)


def run_sync(
    connecting: Connecting, name: str, bundle: Bundle | Sequence[FieldPolicy], options: SyncOptions
) -> SyncSummary:
    """Sync an index with a bundle, or with field policies in its place, and print a summary.

    Raises:
        click.exceptions.Exit: something was rejected, or the run ended early: exit status 1.
        RequestError, MappingError, SettingsError: before anything was done.
    """
    policies = (
        make_policy_builder(bundle, options.threads) if isinstance(bundle, Bundle) else lambda index: bundle
    )

    def sync(run: Run, leases: Leases) -> None:
        one = Sync(run, leases, SyncScope(name, options.shards, options.from_scratch), policies)
        one.follow() if options.follow else one.run_once()

    return run_and_report(connecting, name, options, sync)


def run_and_report(
    connecting: Connecting, name: str, options: SyncOptions, work: Callable[[Run, Leases], None]
) -> SyncSummary:
    """Do work on an index until it is done or a signal ends it, show its progress, and print a summary.

    Raises:
        click.exceptions.Exit: something was rejected, or the run ended early: exit status 1.
        RequestError, MappingError, SettingsError: before anything was done.
    """
    metrics = SyncMetrics(name)
    with (
        metrics.serve(options.metrics),
        open_client(connecting) as upstream,
        show_sync_progress(hidden=options.as_json, follows=options.follow) as (console, show),
        stop_on_signal() as stop,
    ):
        run = Run(
            upstream,
            throttle=Throttle(options.rate, lambda: _probe(upstream, name)),
            stop=stop,
            progress=_make_reporter(show, metrics, options),
            waiting=lambda reason: console.print("Waiting:", reason, markup=False),
        )
        if options.until_stdin_ends:
            threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
        run_to_end(run, work, follows=options.follow)
    summary = run.summary
    click.echo(json.dumps(summary.as_json()) if options.as_json else summary.in_words())
    if not summary.is_complete:
        raise click.exceptions.Exit(1)
    return summary


def run_to_end(run: Run, work: Callable[[Run, Leases], None], *, follows: bool = False) -> None:
    """Do work under leases of this process; the run's summary says why it stopped early, if it did.

    Raises:
        RequestError, MappingError, SettingsError: before anything was done.
    """
    checkpoints = Checkpoints(run.upstream)
    leases = Leases(checkpoints, make_runner_name(), retry_policy=run.retry_policy, waiting=run.waiting)
    checkpoints.ensure()
    summary, started = run.summary, time.monotonic()
    try:
        work(run, leases)
    except StoppedError:
        summary.stopped = None if follows else "it was asked to end"
    except RequestError as error:
        if not summary.checked:
            raise
        summary.stopped = str(error)
    summary.seconds = time.monotonic() - started


def _wait_for_end(stop: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stop.set()


def make_runner_name() -> str:
    """Return a unique name for this run, with its host and process."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: the current batch is finished and the lease released."""
    stop = threading.Event()
    numbers = signal.SIGINT, signal.SIGTERM
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_policy_builder(bundle: Bundle, threads: int) -> Callable[[Index], Sequence[FieldPolicy]]:
    """Return a function that builds the policies of an index; the encoder is loaded once."""
    encode = bundle.load_document_encoder(threads=threads)
    return lambda index: build_field_policies(index, bundle, encode)


def _probe(upstream: OpenSearchClient, name: str) -> None:
    upstream.request("POST", index_path(name, "_search"), {"size": 1, "track_total_hits": False})


def _make_reporter(
    show: Callable[[SyncSummary], None], metrics: SyncMetrics, options: SyncOptions
) -> Callable[[SyncSummary], None]:
    """Return a function that shows progress, and prints a line every few seconds for `--follow`."""
    started = last = time.monotonic()

    def tell(summary: SyncSummary) -> None:
        nonlocal last
        show(summary)
        metrics.record(summary)
        if options.follow and time.monotonic() - last > REPORT_S:
            last = time.monotonic()
            summary.seconds = last - started
            click.echo(json.dumps(summary.as_json()) if options.as_json else summary.in_words())

    return tell
