"""`twinrank backfill`: one slice of an index, on one of several machines."""

import os
import re
from pathlib import Path

import click

from indexer.sync.backfill import Backfill, Slice
from indexer.sync.lease import Leases
from indexer.sync.shard_pass import Run
from plugin.commands.connection import open_client
from plugin.commands.language_notes import print_language_warnings
from plugin.commands.sync import SyncOptions, make_policy_builder, run_and_report
from plugin.http.listen_address import ListenAddress, ListenType
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

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
    required=True,
    help="The slice of this process, counted from 1: 1/4 to 4/4. job/4: the one of a pod of a Kubernetes Job,"
    f" whose {JOB_INDEX} is counted from 0.",
)
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Write at most this many documents a second."
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
@json_option
@bundle_option
@connection_options
def backfill_command(
    index: str,
    part: Slice,
    rate: float | None,
    threads: int,
    metrics: ListenAddress | None,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Give vectors to one slice of INDEX, so that several machines can share the work.

    Run it once for each slice, at the same time or one after another. If a run is killed, run it again: it
    continues where it was. When all slices are done, twinrank sync INDEX continues after them.

    Exit status 0 if the slice is done, 1 if a document could not be written or the run ended early.
    """
    options = SyncOptions(rate=rate, threads=threads, as_json=as_json, metrics=metrics)
    bundle = Bundle.open(bundle_path)
    with open_client(connecting) as upstream:
        print_language_warnings(upstream, index, bundle)
    policies = make_policy_builder(bundle, threads)

    def backfill(run: Run, leases: Leases) -> None:
        Backfill(run, leases, index, part, policies).run_slice()

    run_and_report(connecting, index, options, backfill)
