"""`twinrank features`."""

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from plugin.commands.progress import show_progress
from plugin.errors import CommandError
from plugin.options.common import bundle_option
from plugin.options.judged_queries import judgments_option, queries_option, search_options
from plugin.options.search_argument import parse_body
from plugin.options.upstream import connection_options
from plugin.upstream.connecting import Connecting
from reranker.extras import missing_package

if TYPE_CHECKING:
    from plugin.evaluation.feature_windows import FeaturePlan


@click.command("features")
@click.argument("index")
@queries_option
@judgments_option
@search_options
@click.option(
    "--format",
    "format_",
    type=click.Choice(["jsonl", "libsvm"]),
    default="jsonl",
    show_default=True,
    help="JSON lines, or LibSVM with qid, where an unjudged hit has grade 0.",
)
@bundle_option
@connection_options
def features_command(format_: str, judged_only: bool, **options: Any) -> None:  # noqa: ANN401
    """Print the features of every hit of judged queries on INDEX, to learn a combiner from.

    One line for each hit of the window that the settings ask for: docs/reference/features.md has the
    features.
    """
    plan = make_plan("twinrank features", **options)
    from plugin.evaluation.feature_files import format_header, format_jsonl, format_libsvm
    from plugin.evaluation.feature_windows import search_features

    found = search_features(plan)
    total, has_header = len(found.judged.queries), False
    with show_progress() as show:
        for number, (query, window) in enumerate(found.windows, 1):
            grades, text = found.judged.grades[query], found.judged.queries[query].text
            if format_ == "libsvm" and not has_header and window.features is not None:
                click.echo(format_header(window))
                has_header = True
            lines = (
                format_jsonl(query, text, window, grades, judged_only=judged_only)
                if format_ == "jsonl"
                else format_libsvm(query, number, window, grades, judged_only=judged_only)
            )
            for line in lines:
                click.echo(line)
            show("queries", number, total)


def make_plan(
    command: str,
    *,
    index: str,
    queries: str | None,
    judgments: str | None,
    fields: tuple[str, ...],
    body: IO[bytes] | None,
    queries_limit: int | None,
    bundle_path: Path,
    connecting: Connecting,
) -> "FeaturePlan":
    """Return what the options ask for.

    Raises:
        CommandError: nothing says what is judged, or a package is missing.
    """
    if queries is None and judgments is None:
        raise CommandError(f"{command}: expected --queries FILE and --judgments FILE, found neither")
    try:
        from plugin.evaluation.feature_windows import FeaturePlan
    except ModuleNotFoundError as error:
        raise CommandError(missing_package(command, "evaluate", error)) from error
    template = None if body is None else parse_body(body.read(), "--body")
    return FeaturePlan(index, connecting, bundle_path, queries, judgments, fields, template, queries_limit)
