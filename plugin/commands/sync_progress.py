"""The progress of a sync on standard error: a moving line on a terminal, else a line now and then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from indexer.sync.summary import SyncSummary
from plugin.commands.progress_lines import ProgressLines, stderr_console, time_left


@contextmanager
def sync_progress(
    *, hidden: bool, follows: bool = False
) -> Iterator[tuple[Console, Callable[[SyncSummary], None]]]:
    """Yield a console for messages and a function that shows the summary.

    A sync that `follows` prints lines of its own.
    """
    console = stderr_console()
    lines = ProgressLines(console, hidden=hidden or follows)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[shown]}"),
        TimeElapsedColumn(),
        console=console,
        disable=hidden or not console.is_terminal,
    )
    with progress:
        task = progress.add_task("sync", total=None, shown="reading")

        def show(summary: SyncSummary) -> None:
            progress.update(task, shown=sync_words(summary, progress.tasks[task].elapsed or 0))
            lines.show(lambda elapsed_s: sync_words(summary, elapsed_s))

        yield console, show


def sync_words(summary: SyncSummary, elapsed_s: float) -> str:
    """Say how far a sync is: `1,200 checked (24 % of 5,100 operations), 38/s, 331 written, 12 s left`.

    Operations are counted, since how many documents they have left is not known before they are read.
    """
    operations = summary.passed + summary.pending
    share = f" ({summary.passed / operations:.0%} of {operations:,} operations)" if operations else ""
    rate = f", {summary.checked / elapsed_s:.0f}/s" if elapsed_s > 0 else ""
    left = time_left(summary.passed, operations, elapsed_s) if summary.pending else ""
    missing = "" if summary.missing is None else f", missing {summary.missing:,}"
    done = f"{summary.checked:,} checked{share.replace('%', ' %')}{rate}, {summary.written:,} written"
    return f"{done}{missing}{left}"
