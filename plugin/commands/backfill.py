"""`twinrank backfill`: one slice of an index, on one of several machines, or all slices on a Ray cluster."""

import json
import os
import re
from pathlib import Path

import click

from indexer.sync.backfill import Backfill, Slice
from indexer.sync.lease import Leases
from indexer.sync.shard_pass import Run
from plugin.commands.connection import open_client
from plugin.commands.language_notes import record_all_languages
from plugin.commands.progress import show_progress
from plugin.commands.ray_backfill import SliceTask, check_address, run_on_ray
from plugin.commands.sync import SyncOptions, make_policy_builder, run_and_report
from plugin.http.listen_address import ListenAddress, ListenType
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import BUNDLES, Bundle

JOB_INDEX = "JOB_COMPLETION_INDEX"
"""The variable in which Kubernetes gives a pod of an indexed Job its number, from 0."""

MAX_SLICES = 1000

_SLICE = re.compile(r"(job|\d{1,9})/(\d{1,9})", re.ASCII)


class SliceType(click.ParamType[Slice]):
    """A slice: 2/4, or job/4 in a pod of an indexed Job."""

    name = "I/N"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Slice:
        """Read the slice."""
        if isinstance(value, Slice):
            return value
        found = _SLICE.fullmatch(str(value))
        if found is None:
            self.fail(
                f"expected a slice such as 2/4, or job/4 in a Kubernetes Job, found {value!r}", param, ctx
            )
        count = int(found[2])
        if not 1 <= count <= MAX_SLICES:
            self.fail(f"expected 1 to {MAX_SLICES} slices, found {count}", param, ctx)
        number = self._read_job_index(param, ctx) + 1 if found[1] == "job" else int(found[1])
        if not 1 <= number <= count:
            self.fail(
                f"expected a slice from 1/{count} to {count}/{count}, found {number}/{count}:"
                " slices are counted from 1", param, ctx,
            )  # fmt: skip
        return Slice(number, count)

    def _read_job_index(self, param: click.Parameter | None, ctx: click.Context | None) -> int:
        index = os.environ.get(JOB_INDEX, "")
        if not (index.isascii() and index.isdigit()):
            self.fail(
                f"expected the pod's number, from 0, in {JOB_INDEX}, found {index!r}."
                " Kubernetes sets it in a Job with completionMode: Indexed", param, ctx,
            )  # fmt: skip
        return int(index)


@click.command("backfill")
@click.argument("index")
@click.option(
    "--slice",
    "part",
    type=SliceType(),
    metavar="I/N",
    help="The slice of this process, counted from 1: 1/4 to 4/4. job/4: the one of a pod of a Kubernetes Job,"
    f" whose {JOB_INDEX} is counted from 0.",
)
@click.option(
    "--ray",
    "address",
    metavar="ADDRESS",
    help="Run all slices on this Ray cluster: HOST:PORT, ray://HOST:PORT or auto.",
)
@click.option(
    "--slices", type=click.IntRange(1, MAX_SLICES), help="With --ray: how many.  [default: 4 for each actor]"
)
@click.option(
    "--actors",
    type=click.IntRange(1),
    help="With --ray: how many work at once.  [default: one for each core of the cluster]",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Write at most this many documents a second; with --ray, each actor.",
)
@click.option(
    "--threads", type=click.IntRange(1), help="Of the encoder.  [default: one a core; with --ray, 1]"
)
@click.option(
    "--metrics", type=ListenType(), metavar="HOST:PORT", help="Serve metrics to Prometheus at this address."
)
@json_option
@bundle_option
@connection_options
def backfill_command(
    index: str,
    part: Slice | None,
    address: str | None,
    slices: int | None,
    actors: int | None,
    rate: float | None,
    threads: int | None,
    metrics: ListenAddress | None,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Give vectors to one slice of INDEX, so that several machines can share the work.

    Run it once for each slice, at the same time or one after another. If a run is killed, run it again: it
    continues where it was. When all slices are done, twinrank sync INDEX continues after them. With --ray, it
    runs all slices.

    Exit status 0 if everything is done, 1 if a document could not be written or the run ended early.
    """
    if (part is None) == (address is None):
        raise click.UsageError(
            "expected --slice I/N or --ray ADDRESS, found " + ("both" if part else "neither")
        )
    if part is not None and (slices or actors):
        raise click.UsageError(
            "expected --slices and --actors with --ray only: --slice 1/4 names both numbers"
        )
    if address is not None:
        if metrics is not None:
            raise click.UsageError("expected --metrics with --slice only: the actors are on other machines")
        check_address(address)
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        record_all_languages(upstream, index, bundle)
    if part is not None:
        options = SyncOptions(
            rate=rate, threads=threads or os.cpu_count() or 1, as_json=as_json, metrics=metrics
        )
        _run_slice(connecting, index, bundle, part, options)
    elif address is not None:
        name = bundle_path.name if bundle_path.parent == BUNDLES else str(bundle_path.resolve())
        task = SliceTask(connecting, index, name, bundle.model_tag, rate, threads or 1)
        with show_progress(hidden=as_json) as show:
            report = run_on_ray(
                address, task, slices, actors, lambda done, total: show("slices", done, total)
            )
        click.echo(json.dumps(report.as_json()) if as_json else report.in_words())
        if not report.is_complete:
            raise click.exceptions.Exit(1)


def _run_slice(connecting: Connecting, index: str, bundle: Bundle, part: Slice, options: SyncOptions) -> None:
    policies = make_policy_builder(bundle, options.threads)

    def backfill(run: Run, leases: Leases) -> None:
        Backfill(run, leases, index, part, policies).run_slice()

    run_and_report(connecting, index, options, backfill)
