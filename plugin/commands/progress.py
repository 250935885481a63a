"""Progress on standard error: a bar on a terminal, else a line now and then."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from indexer.load.summary import Summary
from indexer.sync.summary import SyncSummary

EVERY_S = 10.0
"""The shortest time between two lines."""

Show = Callable[[str, int, int | None], None]
"""Takes what is counted, how many are done, and the total, None if that is not known."""


def make_stderr_console() -> Console:
    """Return a console for progress and messages beside it."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


class ProgressLines:
    """Prints a line at most every EVERY_S, if the console is no terminal.

    Args:
        console: the console to print to.
        hidden: print nothing.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self, console: Console, *, hidden: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._is_silent = hidden or console.is_terminal
        self._clock = clock
        self._started_s = self._last_s = clock()

    def show(self, words: Callable[[float], str]) -> None:
        """Print what `words` returns for the seconds since the start, if EVERY_S have passed."""
        now_s = self._clock()
        if not self._is_silent and now_s - self._last_s >= EVERY_S:
            self._last_s = now_s
            self._console.print(words(now_s - self._started_s), markup=False)


def describe_progress(what: str, done: int, total: int | None, elapsed_s: float) -> str:
    """Describe progress: `1,200 of 5,000 documents (24 %), 310/s, 12 s left`."""
    of_all = "" if total is None else f" of {total:,}"
    share = f" ({done / total:.0%})".replace("%", " %") if total else ""
    rate = f", {done / elapsed_s:.0f}/s" if elapsed_s > 0 else ""
    left = "" if total is None else format_time_left(done, total, elapsed_s)
    return f"{done:,}{of_all} {what}{share}{rate}{left}"


def format_time_left(done: float, total: float, elapsed_s: float) -> str:
    """Return `, 3 h 10 min left`, estimated from the rate so far; nothing if there is none."""
    if done <= 0 or elapsed_s <= 0 or total < done:
        return ""
    seconds = round(elapsed_s * (total - done) / done)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f", {hours} h {minutes} min left"
    return f", {minutes} min {seconds % 60} s left" if minutes else f", {seconds} s left"


@contextmanager
def show_progress(*, hidden: bool = False) -> Iterator[Show]:
    """Yield a function that shows the progress of one task, or of several in turn."""
    console = make_stderr_console()
    lines = ProgressLines(console, hidden=hidden)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)
        lines.show(lambda elapsed_s: describe_progress(what, done, total, elapsed_s))

    with bar:
        yield show


@contextmanager
def show_index_progress(
    stream: io.BufferedReader, *, hidden: bool
) -> Iterator[tuple[Console, Callable[[Summary], None]]]:
    """Yield a console for messages, and a function that shows the run's summary on a bar.

    Progress and remaining time are measured in bytes of the file, compressed or not. A pipe has no known
    length, and so no remaining time.
    """
    console = make_stderr_console()
    lines = ProgressLines(console, hidden=hidden)
    progress = Progress(
        TextColumn("{task.fields[shown]}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=hidden or not console.is_terminal,
    )
    total = _measure_size(stream)
    with progress:
        task = progress.add_task("index", total=total, shown="reading")

        def show(summary: Summary) -> None:
            _update_bar(progress, task, stream if total else None, summary)
            lines.show(
                lambda elapsed_s: _describe_index_progress(
                    summary, stream.tell() if total else 0, total, elapsed_s
                )
            )

        yield console, show


def _describe_index_progress(summary: Summary, read: int, total: int | None, elapsed_s: float) -> str:
    """Describe a run's progress; `read` and `total` are bytes of the file, None for a pipe."""
    share = f" ({read / total:.0%} of the file)".replace("%", " %") if total else ""
    left = format_time_left(read, total, elapsed_s) if total else ""
    rejected = f", {summary.rejected:,} rejected" if summary.rejected else ""
    return f"{describe_progress('documents', summary.indexed, None, elapsed_s)}{share}{rejected}{left}"


def _update_bar(progress: Progress, task: TaskID, stream: io.BufferedReader | None, summary: Summary) -> None:
    elapsed_s = progress.tasks[task].elapsed or 0
    rate = f", {summary.indexed / elapsed_s:.0f}/s" if elapsed_s else ""
    rejected = f", {summary.rejected} rejected" if summary.rejected else ""
    progress.update(
        task,
        completed=stream.tell() if stream else None,
        shown=f"{summary.indexed} documents{rate}{rejected}",
    )


def _measure_size(stream: io.BufferedReader) -> int | None:
    if not stream.seekable():
        return None
    position = stream.tell()  # the file's beginning has been read already
    size = stream.seek(0, io.SEEK_END)
    stream.seek(position)
    return size


@contextmanager
def show_sync_progress(
    *, hidden: bool, follows: bool = False
) -> Iterator[tuple[Console, Callable[[SyncSummary], None]]]:
    """Yield a console for messages, and a function that shows the summary.

    A sync that `follows` prints its own lines.
    """
    console = make_stderr_console()
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
            progress.update(task, shown=describe_sync(summary, progress.tasks[task].elapsed or 0))
            lines.show(lambda elapsed_s: describe_sync(summary, elapsed_s))

        yield console, show


def describe_sync(summary: SyncSummary, elapsed_s: float) -> str:
    """Describe a sync: `1,200 checked (24 % of 5,100 operations), 38/s, 331 written, 12 s left`.

    It counts operations if the number of documents is unknown before they are read.
    """
    done, total, unit = summary.passed, summary.passed + summary.pending, "operations"
    if summary.documents is not None:
        done, total, unit = summary.checked, summary.documents, "documents"
    share = f" ({done / total:.0%} of {total:,} {unit})".replace("%", " %") if total else ""
    rate = f", {summary.checked / elapsed_s:.0f}/s" if elapsed_s > 0 else ""
    left = format_time_left(done, total, elapsed_s) if summary.pending else ""
    missing = "" if summary.missing is None else f", missing {summary.missing:,}"
    return f"{summary.checked:,} checked{share}{rate}, {summary.written:,} written{missing}{left}"
