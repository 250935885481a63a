"""`twinrank sync`: arguments in, words out."""

import os
from pathlib import Path

import click

from plugin.commands.index import connected
from plugin.commands.language_notes import tell_languages_behind
from plugin.commands.options import bundle_option, json_option
from plugin.commands.sync_run import SyncOptions, run_sync
from plugin.commands.upstream_options import connection_options
from plugin.http.listen_address import ListenAddress, ListenType
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle


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
@click.option("--metrics", type=ListenType(), metavar="HOST:PORT", help="Give Prometheus the numbers there.")
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
    """Give every document of INDEX a current vector, or none, whoever wrote it and how."""
    options = SyncOptions(follow, from_scratch, rate, shards, threads, as_json, until_stdin_ends, metrics)
    bundle = Bundle.open(bundle_path)
    with connected(connecting) as upstream:
        tell_languages_behind(upstream, index, bundle)
    run_sync(connecting, index, bundle, options)
