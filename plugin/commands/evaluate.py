"""`twinrank evaluate`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from plugin.commands.progress import show_progress
from plugin.commands.temporary_folder import check_temporary_folder
from plugin.errors import CommandError
from plugin.evaluation.judged_documents import print_note
from plugin.options.common import bundle_option, json_option
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.extras import missing_package

if TYPE_CHECKING:
    from plugin.evaluation.evaluate import Evaluation

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_MATCH = click.Choice(["best_fields", "most_fields", "cross_fields"])


@click.command("evaluate")
@click.argument("folder", type=_FOLDER)
@click.option(
    "--proxy",
    envvar="TWINRANK_PROXY",
    show_envvar=True,
    metavar="URL",
    help="A running proxy; without one, one is started for this run.",
)
@click.option("--index", help="Index to use, or to create and keep.  [default: evaluate-FOLDER]")
@click.option("--queries-limit", type=click.IntRange(min=1), help="Use only the first N judged queries.")
@click.option("--qrels", type=_FILE, help="Judgements to use instead of qrels.tsv.")
@click.option("--relevant", type=int, default=1, show_default=True, help="Lowest grade that is relevant.")
@click.option("--analyzer", help="Analyzer of a new index's text fields, such as english.")
@click.option("--match", type=_MATCH, default="best_fields", show_default=True, help="Kind of multi_match.")
@click.option("--judged-only", is_flag=True, help="Leave unjudged hits out of both orders.")
@click.option("--markdown", is_flag=True, help="One table row, as docs/reference/results.md has it.")
@json_option
@bundle_option
@connection_options
def evaluation_command(
    as_json: bool,
    markdown: bool,
    bundle_path: Path,
    connecting: Connecting,
    **options: Any,  # noqa: ANN401
) -> None:
    """Measure FOLDER's queries (BEIR layout) on OpenSearch alone and through Twinrank."""
    check_temporary_folder()
    evaluation = _evaluate(bundle=bundle_path, connecting=connecting, **options)
    from plugin.evaluation.report import build_table, describe_evaluation, format_markdown

    if missing := evaluation.collection.num_missing:
        print_note(f"{missing} judged documents are not in the corpus")
    if as_json:
        click.echo(json.dumps(describe_evaluation(evaluation), indent=2))
    elif markdown:
        click.echo(format_markdown(evaluation))
    else:
        Console(highlight=False).print(build_table(evaluation))
    if evaluation.num_skipped:
        click.echo(
            f"{evaluation.num_skipped} of {len(evaluation.collection.queries)} searches were not reranked:"
            " both sides count with OpenSearch's own order. docs/how-to/troubleshooting.md explains why.",
            err=True,
        )


def _evaluate(**options: Any) -> "Evaluation":  # noqa: ANN401
    """Run the evaluation. Its packages are imported here, since no other command needs them."""
    try:
        from plugin.evaluation.run import EvaluationPlan, Listeners, run_evaluation
    except ModuleNotFoundError as error:
        raise CommandError(missing_package("twinrank evaluate", "evaluate", error)) from error
    with show_progress() as show:
        listeners = Listeners(
            lambda done, total: show("documents", done, total),
            lambda done, total: show("queries", done, total),
        )
        return run_evaluation(EvaluationPlan(**options), listeners)
