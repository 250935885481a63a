"""`twinrank evaluate`."""

import json
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from plugin.evaluation_report import MARKDOWN_HEAD, evaluation_json, evaluation_markdown, evaluation_table
from plugin.evaluation_run import EvaluationPlan, Listeners, run_evaluation
from reranker.bundle import DEFAULT_BUNDLE

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("evaluate")
@click.argument("folder", type=_FOLDER)
@click.option("--upstream", envvar="TWINRANK_UPSTREAM", default="http://127.0.0.1:9200", show_default=True)
@click.option("--proxy", help="A running proxy; one is started for the evaluation where none is given.")
@click.option("--index", help="Index to use or create.  [default: evaluate-FOLDER]")
@click.option("--queries-limit", type=click.IntRange(min=1), help="Only the first so many judged queries.")
@click.option(
    "--qrels", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Other judgements."
)
@click.option("--relevant", type=int, default=1, show_default=True, help="Lowest grade that is relevant.")
@click.option("--analyzer", help="Analyzer of a new index's text fields, such as english.")
@click.option("--bundle", type=_FOLDER, default=DEFAULT_BUNDLE, help="Model bundle.  [default: our own]")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.option("--markdown", is_flag=True, help="One table row, as docs/results.md has it.")
def evaluation_command(as_json: bool, markdown: bool, **options: object) -> None:
    """Measure FOLDER's queries (BEIR layout) on OpenSearch alone and through Twinrank."""
    plan = EvaluationPlan(**options)  # type: ignore[arg-type]  # click has made them of these types
    console = Console(stderr=True)
    with _progress(console) as progress:
        evaluation = run_evaluation(plan, _listeners(progress))
    if as_json:
        click.echo(json.dumps(evaluation_json(evaluation), indent=2))
    elif markdown:
        click.echo(f"{MARKDOWN_HEAD}\n{evaluation_markdown(evaluation)}")
    else:
        Console(highlight=False).print(evaluation_table(evaluation))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _listeners(progress: Progress) -> Listeners:
    def listener(description: str) -> Callable[[int, int], None]:
        task = progress.add_task(description, total=None)
        return lambda done, total: progress.update(task, completed=done, total=total)

    return Listeners(indexed=listener("documents"), searched=listener("queries"))
