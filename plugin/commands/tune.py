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
    from plugin.evaluation.tune_settings import TunedSetting

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

    Feedback is left out of these: their figures are without it, the bundle's own too. Signals' weights,
    min_probability and diversity are then tried one at a time. nDCG sees no repetition, so it says what
    diversity costs.
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
    tuned, others = _tune(index, judged, chosen, settings, now, bundle, connecting, as_json)
    if as_json:
        click.echo(json.dumps({**_describe(tuned), "settings": [_describe_setting(each) for each in others]}))
        return
    _print_result(index, tuned, now)
    _print_settings(others)


def _tune(
    index: str,
    judged: JudgedQueries,
    fields: tuple[str, ...],
    settings: RerankSettings,
    now: "Pair",
    bundle: Bundle,
    connecting: Connecting,
    as_json: bool,
) -> "tuple[Tuned, list[TunedSetting]]":
    """Return what the searches of judged queries say of weight and window, and of each other setting."""
    from plugin.evaluation.tune import tune
    from plugin.evaluation.tune_settings import (
        DIVERSITIES,
        list_signal_trials,
        make_diversity_trial,
        make_probability_trial,
        tune_settings,
    )
    from plugin.evaluation.tune_windows import WindowRequest, search_windows

    with closing(connecting.upstream()) as upstream, show_progress(hidden=as_json) as show:
        cache = SettingsCache(upstream, waits_for_coverage=True)
        model = Model.load(bundle)
        handler = search_handler(upstream, cache, model)

        def search(request: WindowRequest, label: str) -> "dict[str, Window]":
            windows: dict[str, Window] = {}
            found = search_windows(
                handler, cache, connecting.credentials, index, judged.queries, fields, request
            )
            for query, window in found:
                windows[query] = window
                show(label, len(windows), len(judged.queries))
            return windows

        own = WindowRequest()
        with_features = {"features": True} if settings.fusion.signals else {}
        windows = search(WindowRequest(controls={**own.controls, **with_features}), "queries")
        tuned = tune(windows, judged.grades, now, judged.texts)
        pair = tuned.best if tuned.best is not None and tuned.is_worth_it else now
        shown = {
            value: search(
                WindowRequest(settings.window_size, _spread(settings, value)), f"diversity {value:g}"
            )
            for value in sorted({settings.diversity, *DIVERSITIES})
        }
    trials = list_signal_trials(settings, pair)
    if model.defaults.is_calibrated:
        trials.append(make_probability_trial(settings.min_probability, pair))
    trials.append(make_diversity_trial(settings.diversity, shown))
    return tuned, tune_settings(trials, windows, judged.grades)


def _spread(settings: RerankSettings, diversity: float) -> dict[str, Any]:
    """Return the keys of `ext.rerank` for a diversity, with everything else as in the settings."""
    fusion = {"fusion": {"method": "log_linear"}} if settings.fusion.method == "combiner" else {}
    return {"diversity": diversity, "on_low_probability": "demote", **fusion}


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


def _print_settings(others: "list[TunedSetting]") -> None:
    """Print what each other setting brings, one at a time."""
    click.echo("Other settings, each alone, on queries not seen:")
    for each in others:
        click.echo(f"  {each.name}, now {each.now:g}: {_judge(each)}")
        for value, difference in each.differences.items() if each.name == "diversity" else ():
            click.echo(f"    {value:g}: {format_difference(difference)}")


def _judge(setting: "TunedSetting") -> str:
    if setting.best is None:
        return "nothing is significantly better"
    chance = "" if setting.is_worth_it else " (within chance)"
    return f"{setting.best:g} brings {format_difference(setting.gain)}{chance}"


def _describe_setting(setting: "TunedSetting") -> dict[str, Any]:
    differences = {f"{value:g}": vars(each) for value, each in setting.differences.items()}
    return {
        "name": setting.name,
        "now": setting.now,
        "best": setting.best,
        "gain": vars(setting.gain),
        "is_worth_it": setting.is_worth_it,
        "differences": differences,
    }


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
