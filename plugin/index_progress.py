"""The progress bar of `twinrank index`, on standard error, and only where somebody looks."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from indexer.summary import Summary


@contextmanager
def progress_bar(
    stream: io.BufferedReader, *, hidden: bool
) -> Iterator[tuple[Console, Callable[[Summary], None]]]:
    """Yield a console for messages and a function that shows the run's summary on the bar.

    How far the run is, and so the remaining time, is told by the bytes of the file that were read, compressed
    or not; a pipe has no known length and no remaining time.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    progress = Progress(
        TextColumn("{task.fields[shown]}"),
        BarColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=hidden or not console.is_terminal,
    )
    total = _size(stream)
    with progress:
        task = progress.add_task("index", total=total, shown="reading")
        yield console, lambda summary: _show(progress, task, stream if total else None, summary)


def _show(progress: Progress, task: TaskID, stream: io.BufferedReader | None, summary: Summary) -> None:
    elapsed_s = progress.tasks[task].elapsed or 0
    rate = f", {summary.indexed / elapsed_s:.0f}/s" if elapsed_s else ""
    rejected = f", {summary.rejected} rejected" if summary.rejected else ""
    progress.update(
        task,
        completed=stream.tell() if stream else None,
        shown=f"{summary.indexed} documents{rate}{rejected}",
    )


def _size(stream: io.BufferedReader) -> int | None:
    if not stream.seekable():
        return None
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size
