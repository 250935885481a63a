"""The progress of `twinrank index` on standard error: a bar on a terminal, else a line now and then."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from indexer.load.summary import Summary
from plugin.commands.progress_lines import ProgressLines, progress_words, stderr_console, time_left


@contextmanager
def progress_bar(
    stream: io.BufferedReader, *, hidden: bool
) -> Iterator[tuple[Console, Callable[[Summary], None]]]:
    """Yield a console for messages and a function that shows the run's summary on the bar.

    How far the run is, and so the remaining time, is told by the bytes of the file that were read, compressed
    or not; a pipe has no known length and no remaining time.
    """
    console = stderr_console()
    lines = ProgressLines(console, hidden=hidden)
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

        def show(summary: Summary) -> None:
            _show(progress, task, stream if total else None, summary)
            lines.show(lambda elapsed_s: _line(summary, stream.tell() if total else 0, total, elapsed_s))

        yield console, show


def _line(summary: Summary, read: int, total: int | None, elapsed_s: float) -> str:
    """Say how far a run is; `read` and `total` are bytes of the file, None for a pipe."""
    share = f" ({read / total:.0%} of the file)".replace("%", " %") if total else ""
    left = time_left(read, total, elapsed_s) if total else ""
    rejected = f", {summary.rejected:,} rejected" if summary.rejected else ""
    return f"{progress_words('documents', summary.indexed, None, elapsed_s)}{share}{rejected}{left}"


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
    position = stream.tell()  # the file's form was looked at already
    size = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return size
