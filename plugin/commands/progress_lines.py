"""Progress on standard error: a bar on a terminal, else a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

EVERY_S = 10.0
"""The shortest time between two lines."""

Show = Callable[[str, int, int | None], None]
"""Takes what is counted, how many are done, and of how many, None if that is not known."""


def stderr_console() -> Console:
    """Return a console for progress and messages beside it."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


class ProgressLines:
    """Prints a line at most every EVERY_S, if the console is no terminal.

    Args:
        console: where to.
        hidden: print nothing.
        clock: seconds that only grow.
    """

    def __init__(
        self, console: Console, *, hidden: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._is_silent = hidden or console.is_terminal
        self._clock = clock
        self._started_s = self._last_s = clock()

    def show(self, words: Callable[[float], str]) -> None:
        """Print what `words` returns for the seconds since the start, if it is time again."""
        now_s = self._clock()
        if not self._is_silent and now_s - self._last_s >= EVERY_S:
            self._last_s = now_s
            self._console.print(words(now_s - self._started_s), markup=False)


def progress_words(what: str, done: int, total: int | None, elapsed_s: float) -> str:
    """Say how far something is: `1,200 of 5,000 documents (24 %), 310/s, 12 s left`."""
    of_all = "" if total is None else f" of {total:,}"
    share = f" ({done / total:.0%})".replace("%", " %") if total else ""
    rate = f", {done / elapsed_s:.0f}/s" if elapsed_s > 0 else ""
    left = "" if total is None else time_left(done, total, elapsed_s)
    return f"{done:,}{of_all} {what}{share}{rate}{left}"


def time_left(done: float, total: float, elapsed_s: float) -> str:
    """Return `, 3 h 10 min left`, as the pace so far has it; nothing if there was none."""
    if done <= 0 or elapsed_s <= 0 or total < done:
        return ""
    seconds = round(elapsed_s * (total - done) / done)
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f", {hours} h {minutes} min left"
    return f", {minutes} min {seconds % 60} s left" if minutes else f", {seconds} s left"


@contextmanager
def shown_progress(*, hidden: bool = False) -> Iterator[Show]:
    """Yield what shows how far something is, or several things one after the other."""
    console = stderr_console()
    lines = ProgressLines(console, hidden=hidden)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=hidden or not console.is_terminal)
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bar.add_task(what, total=total)
        bar.update(tasks[what], completed=done, total=total)
        lines.show(lambda elapsed_s: progress_words(what, done, total, elapsed_s))

    with bar:
        yield show
