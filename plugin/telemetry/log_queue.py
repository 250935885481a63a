"""Log lines are written by a thread of their own, so that no search waits for standard error.

A pipe whose reader is slow blocks whoever writes to it. Lines wait in a bounded queue; if it is full they are
lost, and the log says how many.
"""

import atexit
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue

MAX_LINES = 10_000
"""Lines that wait. About 4 MB of searches' lines."""

STOP_S = 2.0
"""How long the end of a process waits for room in a full queue."""

Lines = Queue[logging.LogRecord]


class _BoundedHandler(QueueHandler):
    """Puts lines into a queue, formatted; counts those for which there is no room."""

    def __init__(self, lines: Lines, handler: logging.Handler) -> None:
        super().__init__(lines)
        self.setFormatter(handler.formatter)
        self._num_lost = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a line into the queue, after a line that says how many were lost before it."""
        try:
            if self._num_lost:
                self.queue.put_nowait(self.prepare(_describe_loss(self._num_lost)))
                self._num_lost = 0
            self.queue.put_nowait(record)
        except Full:
            self._num_lost += 1


class _Writer(QueueListener):
    """Writes the lines."""

    def enqueue_sentinel(self) -> None:
        """Have the thread end once everything before is written."""
        self.queue.put(self._sentinel, timeout=STOP_S)  # type: ignore[attr-defined]  # typeshed lacks it


def write_in_thread(names: Sequence[str], *, max_lines: int = MAX_LINES) -> Callable[[], None]:
    """Have a thread write the lines of these loggers, until the process ends.

    Call it after a fork, since threads do not survive one. Returns what writes all that waits and lets each
    thread write its own lines again; the end of the process calls it too.
    """
    lines: Lines = Queue(max_lines)
    replaced: list[tuple[logging.Logger, logging.Handler, logging.Handler]] = []
    for logger in map(logging.getLogger, names):
        for handler in list(logger.handlers):
            queued = _BoundedHandler(lines, handler)
            logger.addHandler(queued)
            logger.removeHandler(handler)
            replaced.append((logger, handler, queued))
    writer = _Writer(lines, logging.StreamHandler())  # lines are formatted already
    writer.start()

    def stop() -> None:
        atexit.unregister(stop)
        for logger, handler, queued in replaced:
            logger.addHandler(handler)
            logger.removeHandler(queued)
        with suppress(Full):  # nobody reads what is written
            writer.stop()

    atexit.register(stop)
    return stop


def _describe_loss(number: int) -> logging.LogRecord:
    what = "%d log lines were lost: standard error is read more slowly than it is written"
    return logging.LogRecord("twinrank", logging.WARNING, __file__, 0, what, (number,), None)
