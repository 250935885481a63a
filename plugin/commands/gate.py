"""`twinrank gate`."""

import json
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from plugin.commands.output_file import write_output
from plugin.commands.progress import show_progress
from plugin.commands.temporary_folder import check_temporary_folder
from plugin.errors import CommandError
from plugin.options.common import bundle_option, json_option
from plugin.options.judged_queries import judged_search_options
from plugin.options.search_argument import parse_body
from plugin.options.upstream import connection_options
from reranker.extras import missing_package

if TYPE_CHECKING:
    from plugin.evaluation.evaluate import Evaluation
    from plugin.evaluation.gate import GateResult

WORSE = 3
"""The exit status if a check fails. 1 is an error, 2 a wrong option."""

_OUTPUT = click.Path(dir_okay=False, path_type=Path)


@click.command("gate")
@click.argument("index")
@judged_search_options
@click.option(
    "--baseline", "baseline_file", type=_OUTPUT, required=True, metavar="FILE", help="The baseline, as JSON."
)
@click.option("--update", is_flag=True, help="Write the baseline instead of comparing with it.")
@click.option(
    "--pin",
    "pinned",
    multiple=True,
    metavar="ID",
    help="With --update: a query that must not fall at all, besides those that are pinned already.",
)
@click.option("--junit", type=_OUTPUT, metavar="FILE", help="Write the checks as a test report (JUnit).")
@click.option(
    "--summary",
    type=_OUTPUT,
    metavar="FILE",
    help="Append a summary in Markdown, as to $GITHUB_STEP_SUMMARY.",
)
@json_option
@bundle_option
@connection_options
def gate_command(
    index: str,
    baseline_file: Path,
    update: bool,
    pinned: tuple[str, ...],
    junit: Path | None,
    summary: Path | None,
    as_json: bool,
    bundle_path: Path,
    body: IO[bytes] | None,
    **options: Any,  # noqa: ANN401
) -> None:
    """Fail if searches of INDEX have become worse than a baseline.

    Every judged query is searched as by `twinrank evaluate INDEX`. Exit status 3 if the 95 % interval of the
    difference to the baseline, or to OpenSearch alone, is below zero, if a pinned query falls, or if no
    search is reranked; 1 for an error.
    """
    if pinned and not update:
        raise click.UsageError("--pin is written into the baseline: use it with --update")
    check_temporary_folder()
    try:
        from plugin.evaluation.baseline import read_baseline
        from plugin.evaluation.gate import check_gate
        from plugin.evaluation.index_run import IndexPlan, evaluate_index
    except ModuleNotFoundError as error:
        raise CommandError(missing_package("twinrank gate", "evaluate", error)) from error
    known = read_baseline(baseline_file, index) if baseline_file.exists() else None
    if known is None and not update:
        raise CommandError(f"expected a baseline in {baseline_file}, found no file. Write it with --update")
    template = None if body is None else parse_body(body.read(), "--body")
    plan = IndexPlan(index, bundle=bundle_path, body=template, **options)
    with show_progress(hidden=as_json) as show:
        evaluation = evaluate_index(plan, lambda done, total: show("queries", done, total))
    if known is None or update:
        _update(evaluation, baseline_file, {*(known.pinned if known else ()), *pinned})
        return
    result = check_gate(evaluation, known)
    _report(result, junit, summary, as_json=as_json)
    if not result.has_passed:
        raise click.exceptions.Exit(WORSE)


def _update(evaluation: "Evaluation", file: Path, pinned: set[str]) -> None:
    """Write the baseline, and say what is in it."""
    from plugin.evaluation.baseline import make_baseline, write_baseline

    baseline = make_baseline(evaluation, pinned)
    write_baseline(file, baseline)
    click.echo(
        f"{file}: {len(baseline.queries)} queries of {baseline.index}, {len(baseline.pinned)} pinned,"
        f" nDCG@10 {evaluation.reranked.ndcg.mean():.3f}"
    )


def _report(result: "GateResult", junit: Path | None, summary: Path | None, *, as_json: bool) -> None:
    """Print the result, and write the files that were asked for."""
    from plugin.evaluation.gate_report import describe_gate, format_gate, render_junit, render_summary

    if junit is not None:
        write_output(junit, render_junit(result))
    if summary is not None:
        write_output(summary, render_summary(result), appends=True)
    for line in [json.dumps(describe_gate(result), indent=2)] if as_json else format_gate(result):
        click.echo(line)
