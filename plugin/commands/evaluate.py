"""`twinrank evaluate`."""

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from plugin.commands.output_file import write_output
from plugin.commands.progress import show_progress
from plugin.commands.temporary_folder import check_temporary_folder
from plugin.commands.terminal import make_console
from plugin.errors import CommandError
from plugin.evaluation.judged_documents import print_note
from plugin.evaluation.query_result import NUM_SHOWN
from plugin.options.common import bundle_option, json_option
from plugin.options.judged_queries import judged_search_options
from plugin.options.search_argument import parse_body
from plugin.options.upstream import connection_options
from reranker.extras import missing_package

if TYPE_CHECKING:
    from plugin.evaluation.evaluate import Evaluation

_MATCH = click.Choice(["best_fields", "most_fields", "cross_fields"])

_FOLDER_ONLY = ("index", "analyzer", "match")
_INDEX_ONLY = ("queries", "fields", "body")


@click.command("evaluate")
@click.argument("target", metavar="INDEX|FOLDER")
@judged_search_options
@click.option("--index", help="Of a FOLDER: index to use, or to create and keep.  [default: evaluate-FOLDER]")
@click.option("--analyzer", help="Of a FOLDER: analyzer of a new index's text fields, such as english.")
@click.option("--match", type=_MATCH, help="Of a FOLDER: kind of multi_match.  [default: best_fields]")
@click.option(
    "--show",
    type=click.IntRange(min=0),
    default=NUM_SHOWN,
    show_default=True,
    help="How many of the best and of the worst queries to show with both pages.",
)
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a report for a browser too: one file that loads nothing.",
)
@click.option("--markdown", is_flag=True, help="One table row, as docs/reference/results.md has it.")
@json_option
@bundle_option
@connection_options
def evaluation_command(
    target: str,
    as_json: bool,
    markdown: bool,
    show: int,
    html: Path | None,
    bundle_path: Path,
    **options: Any,  # noqa: ANN401
) -> None:
    """Measure judged queries on OpenSearch alone and through Twinrank.

    On INDEX, which is only searched, with --queries and --judgments; or on a FOLDER in BEIR layout, whose
    documents are indexed first.
    """
    check_temporary_folder()
    evaluation = _evaluate(target, bundle=bundle_path, **options)
    from plugin.evaluation.report import build_table, describe_evaluation, format_markdown, format_queries

    if html is not None:
        from plugin.evaluation.report_html import render_html

        write_output(html, render_html(evaluation, show))
    if as_json:
        click.echo(json.dumps(describe_evaluation(evaluation), indent=2))
    elif markdown:
        click.echo(format_markdown(evaluation))
    else:
        console = make_console()
        console.print(build_table(evaluation))
        for part in format_queries(evaluation, show) if show else ():
            console.print(part)
    if evaluation.num_skipped:
        click.echo(
            f"{evaluation.num_skipped} of {len(evaluation.collection.queries)} searches were not reranked:"
            " both sides count with OpenSearch's own order. docs/how-to/troubleshooting.md explains why.",
            err=True,
        )


def _evaluate(target: str, **options: Any) -> "Evaluation":  # noqa: ANN401
    """Run the evaluation that the argument and the options ask for.

    Raises:
        click.UsageError: an option is for the other kind.
        CommandError: nothing says what is judged, or a package is missing.
    """
    folder = Path(target)
    is_folder = options["queries"] is None and folder.is_dir()
    others = _INDEX_ONLY if is_folder else _FOLDER_ONLY
    for name in others:
        if options[name]:
            kind = "an INDEX" if is_folder else "a FOLDER in BEIR layout"
            raise click.UsageError(f"--{name.removesuffix('s')} is an option for {kind}, found {target}")
    used = {name: value for name, value in options.items() if name not in others}
    if is_folder:
        return _evaluate_folder(folder, **used)
    if options["queries"] is None and options["judgments"] is None:
        raise CommandError(
            "expected an index with --queries FILE and --judgments FILE, or a folder in BEIR layout,"
            f" found {target} alone"
        )
    return _evaluate_index(target, **used)


def _evaluate_folder(
    folder: Path,
    *,
    judgments: str | None,
    match: str | None,
    **options: Any,  # noqa: ANN401
) -> "Evaluation":
    """Index a folder's documents and evaluate. The packages are imported late: few commands need them."""
    try:
        from plugin.evaluation.run import EvaluationPlan, Listeners, run_evaluation
    except ModuleNotFoundError as error:
        raise CommandError(missing_package("twinrank evaluate", "evaluate", error)) from error
    qrels = None if judgments is None else Path(judgments)
    plan = EvaluationPlan(folder, qrels=qrels, match=match or "best_fields", **options)
    with show_progress() as show:
        listeners = Listeners(
            lambda done, total: show("documents", done, total),
            lambda done, total: show("queries", done, total),
        )
        evaluation = run_evaluation(plan, listeners)
    if missing := evaluation.collection.num_missing:
        print_note(f"{missing} judged documents are not in the corpus")
    return evaluation


def _evaluate_index(index: str, *, body: IO[bytes] | None, **options: Any) -> "Evaluation":  # noqa: ANN401
    """Evaluate an index as it is."""
    try:
        from plugin.evaluation.index_run import IndexPlan, evaluate_index
    except ModuleNotFoundError as error:
        raise CommandError(missing_package("twinrank evaluate", "evaluate", error)) from error
    template = None if body is None else parse_body(body.read(), "--body")
    with show_progress() as show:
        return evaluate_index(
            IndexPlan(index, body=template, **options), lambda done, total: show("queries", done, total)
        )
