"""`twinrank tune`."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from opensearch.index import metadata
from opensearch.settings.table import RerankSettings
from plugin.commands.combiner_report import tune_combiner
from plugin.commands.connection import open_client
from plugin.commands.progress import show_progress
from plugin.encoding.model import Model
from plugin.errors import CommandError
from plugin.evaluation.judged_documents import JudgedQueries, read_judged_queries
from plugin.evaluation.paired_report import format_difference, format_losses
from plugin.evaluation.query_result import select_worst
from plugin.options.common import bundle_option, json_option
from plugin.options.judged_queries import judgments_option, queries_option
from plugin.options.upstream import connection_options
from plugin.search.explain import search_handler
from plugin.settings.cache import SettingsCache
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle
from reranker.extras import missing_package

if TYPE_CHECKING:
    from plugin.evaluation.tune import Pair, Tuned, Window

NEEDS = """`twinrank tune` needs judgements. Give
  --queries FILE    CSV query_id,query; or JSON lines {"_id": "q1", "text": "how to wait a bit"}
  --judgments FILE  rows of query id, document id and grade (0 is not relevant), or TREC's four columns
At least ten queries that people really ask, each with the grades of the documents on its first page, in the
order of OpenSearch and in the reranked one alike: `twinrank search INDEX TEXT` shows both."""


@click.command("tune")
@click.argument("index")
@queries_option
@judgments_option
@click.option("--field", "fields", multiple=True, help="Fields to search.  [default: the source fields]")
@click.option(
    "--combiner",
    type=click.Choice(["linear", "lightgbm"]),
    help="Learn a combiner of all features instead, and write it to a file if its gain is beyond chance.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Of --combiner: the file.  [default: INDEX.json]",
)
@click.option(
    "--judged-only", is_flag=True, help="Of --combiner: leave unjudged hits out, of learning and measuring."
)
@json_option
@bundle_option
@connection_options
def tune_command(
    index: str,
    queries: str | None,
    judgments: str | None,
    fields: tuple[str, ...],
    combiner: str | None,
    output: Path | None,
    judged_only: bool,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Fit INDEX's fusion weight and window on judged queries, and print the mapping change.

    Feedback is left out: all figures are without it, the bundle's own too.
    """
    if queries is None and judgments is None:
        raise CommandError(NEEDS)
    if combiner is None and (output is not None or judged_only):
        raise click.UsageError("--output and --judged-only are options of --combiner")
    if combiner is not None:
        tune_combiner(
            index,
            combiner,
            output,
            queries=queries,
            judgments=judgments,
            fields=fields,
            judged_only=judged_only,
            as_json=as_json,
            bundle_path=bundle_path,
            connecting=connecting,
        )
        return
    with open_client(connecting) as client:
        settings = metadata.find_write_index(client, index).rerank_settings()
        judged = read_judged_queries(client, index, queries, judgments)
    bundle = Bundle.open(bundle_path)
    now = _read_pair(settings, bundle.manifest.fusion.weight)
    chosen = fields or settings.source_fields
    tuned = _tune(index, judged, chosen, now, bundle, connecting, as_json)
    if as_json:
        click.echo(json.dumps(_describe(tuned)))
        return
    _print_result(index, tuned, now)


def _tune(
    index: str,
    judged: JudgedQueries,
    fields: tuple[str, ...],
    now: "Pair",
    bundle: Bundle,
    connecting: Connecting,
    as_json: bool,
) -> "Tuned":
    from plugin.evaluation.tune import tune
    from plugin.evaluation.tune_windows import search_windows

    with closing(connecting.upstream()) as upstream:
        cache = SettingsCache(upstream, waits_for_coverage=True)
        handler = search_handler(upstream, cache, Model.load(bundle))
        found = search_windows(handler, cache, connecting.credentials, index, judged.queries, fields)
        windows: dict[str, Window] = {}
        with show_progress(hidden=as_json) as show:
            for query, window in found:
                windows[query] = window
                show("queries", len(windows), len(judged.queries))
    return tune(windows, judged.grades, now, judged.texts)


def _read_pair(settings: RerankSettings, bundle_weight: float) -> "Pair":
    """Return the weight and window in use; for another method than `log_linear`, those it would have."""
    try:
        from plugin.evaluation.tune import Pair
    except ModuleNotFoundError as error:
        raise CommandError(missing_package("twinrank tune", "evaluate", error)) from error
    weight = settings.fusion.weight if settings.fusion.method == "log_linear" else None
    return Pair(bundle_weight if weight is None else weight, settings.window_size)


def _print_result(index: str, tuned: "Tuned", now: "Pair") -> None:
    click.echo(f"{tuned.num_queries} judged queries, nDCG@10")
    click.echo(f"  OpenSearch alone            {tuned.first_stage:.3f}")
    click.echo(f"  now, weight {now.weight:g}, window {now.window_size}: {tuned.now:.3f}")
    click.echo(f"    against OpenSearch alone  {format_difference(tuned.worth)}")
    click.echo(f"  tuned, on queries not seen  {tuned.tuned:.3f}")
    click.echo(f"    gain over now             {format_difference(tuned.gain)}")
    losses = list(format_losses(tuned.queries))
    if losses:
        click.echo("Lost most by the present settings, against OpenSearch alone:")
        for line in losses:
            click.echo(f"  {line}")
    best = tuned.best
    if best is None:
        click.echo(
            "No other setting is significantly better: keep the settings as they are, or judge more queries."
        )
        return
    if not tuned.is_worth_it:
        click.echo("The gain is within chance: keep the settings as they are, or judge more queries.")
        click.echo("The best fit for these queries:")
    click.echo(f"  twinrank enable {index} --weight {best.weight:g} --window-size {best.window_size}")
    click.echo(f"  _meta.rerank: {json.dumps(_describe_change(best))}")


def _describe(tuned: "Tuned") -> dict[str, Any]:
    means = {"first_stage": tuned.first_stage, "now": tuned.now, "tuned": tuned.tuned}
    return {
        "queries": tuned.num_queries,
        "ndcg@10": means,
        "now_against_first_stage": vars(tuned.worth),
        "gain": vars(tuned.gain),
        "lost": [vars(query) for query in select_worst(tuned.queries)],
        "is_worth_it": tuned.is_worth_it,
        "change": tuned.best and _describe_change(tuned.best),
    }


def _describe_change(best: "Pair") -> dict[str, Any]:
    """Return the change of `_meta.rerank`."""
    return {"window_size": best.window_size, "fusion": {"method": "log_linear", "weight": best.weight}}
