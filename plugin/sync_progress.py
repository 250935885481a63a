"""The progress of a sync on standard error, only where somebody looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from indexer.sync_summary import SyncSummary


@contextmanager
def sync_progress(*, hidden: bool) -> Iterator[tuple[Console, Callable[[SyncSummary], None]]]:
    """Yield a console for messages and a function that shows the summary."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
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
            elapsed_s = progress.tasks[task].elapsed or 0
            rate = f", {summary.checked / elapsed_s:.0f}/s" if elapsed_s else ""
            lag = f"lag {summary.lag.operations} operations, {summary.lag.seconds:.0f} s"
            progress.update(task, shown=f"{summary.checked} checked{rate}, {summary.written} written, {lag}")

        yield console, show
