"""`twinrank tune --combiner`: learn one, print what it brings, and write its file if it helps."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plugin.commands.features import make_plan
from plugin.commands.output_file import write_output
from plugin.commands.progress import show_progress
from plugin.errors import CommandError
from plugin.evaluation.query_result import select_worst
from plugin.upstream.connecting import Connecting

if TYPE_CHECKING:
    from plugin.evaluation.combiner_training import Learned


def tune_combiner(
    index: str,
    kind: str,
    output: Path | None,
    *,
    queries: str | None,
    judgments: str | None,
    fields: tuple[str, ...],
    judged_only: bool,
    as_json: bool,
    bundle_path: Path,
    connecting: Connecting,
) -> None:
    """Learn a combiner of a kind for an index, and write it to `output`, by default INDEX.json.

    Raises:
        CommandError: its gain is within chance, so that nothing was written; or what the steps raise.
    """
    plan = make_plan(
        "twinrank tune --combiner",
        index=index,
        queries=queries,
        judgments=judgments,
        fields=fields,
        body=None,
        queries_limit=None,
        bundle_path=bundle_path,
        connecting=connecting,
    )
    from plugin.evaluation.combiner_training import learn
    from plugin.evaluation.feature_windows import collect_windows, search_features

    found = search_features(plan)
    with show_progress(hidden=as_json) as show:
        windows = collect_windows(found, lambda done, total: show("queries", done, total))
    judged = found.judged
    learned = learn(kind, windows, judged.grades, judged.texts, model=found.model, judged_only=judged_only)
    file = output or Path(f"{index}.json")
    if learned.is_worth_it:
        write_output(file, learned.content.decode())
    if as_json:
        click.echo(json.dumps(_describe(learned, kind, file)))
    else:
        _print(learned, index, kind, file)
    if not learned.is_worth_it:
        raise CommandError("The gain is within chance, so no combiner was written. Judge more queries.")


def _print(learned: "Learned", index: str, kind: str, file: Path) -> None:
    from plugin.evaluation.paired_report import format_difference, format_losses

    click.echo(f"{learned.num_queries} judged queries, nDCG@10")
    click.echo(f"  OpenSearch alone            {learned.first_stage:.3f}")
    click.echo(f"  now                         {learned.now:.3f}")
    click.echo(f"    against OpenSearch alone  {format_difference(learned.worth)}")
    click.echo(f"  combiner, on unseen queries {learned.unseen:.3f}  ({kind}, five folds)")
    click.echo(f"    gain over now             {format_difference(learned.gain)}")
    click.echo(f"    against OpenSearch alone  {format_difference(learned.against_first_stage)}")
    losses = list(format_losses(learned.queries))
    if losses:
        click.echo("Lost most by the combiner, against the present settings:")
        for line in losses:
            click.echo(f"  {line}")
    if learned.is_worth_it:
        name = file.name.removesuffix(".json")
        click.echo(f"Written to {file}. To use it, give it to every proxy, then change the settings:")
        click.echo(f"  twinrank serve --combiner-file {file} ...")
        click.echo(f"  twinrank enable {index} --set fusion.method=combiner --set fusion.combiner={name}")


def _describe(learned: "Learned", kind: str, file: Path) -> dict[str, object]:
    means = {"first_stage": learned.first_stage, "now": learned.now, "unseen": learned.unseen}
    return {
        "queries": learned.num_queries,
        "combiner": kind,
        "ndcg@10": means,
        "now_against_first_stage": vars(learned.worth),
        "against_first_stage": vars(learned.against_first_stage),
        "gain": vars(learned.gain),
        "lost": [vars(query) for query in select_worst(learned.queries)],
        "is_worth_it": learned.is_worth_it,
        "file": str(file) if learned.is_worth_it else None,
    }
