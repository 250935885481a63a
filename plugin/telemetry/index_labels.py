"""Which indices are counted by name: a bounded set that all workers share.

A client may ask for any number of names and patterns, and each name that is counted costs memory, here and in
Prometheus. So the first `MAX_APPLIED` names that were reranked have a label of their own, and `MAX_OTHERS`
further names; the rest is `OTHER`.

The workers share one file of JSON lines, `["NAME", was_reranked]`, to which they append under a lock. A line
never changes: a name that is reranked later gets a second line, which moves it to the first group.
"""

import errno
import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

MAX_APPLIED = 100
"""Names that were reranked at least once."""

MAX_OTHERS = 100
"""Names that were not."""

MAX_NAME_BYTES = 255
"""Longest name with a label of its own, in UTF-8: OpenSearch's limit for an index. A list may be longer."""

OTHER = "other"
EVERYTHING = "_all"
"""The label of a search whose path names no index."""

_LINE = msgspec.json.Decoder(tuple[str, bool])

_log = logging.getLogger("twinrank.metrics")


class IndexLabels:
    """The labels of one worker.

    Args:
        file: what the workers share, made if it is missing; None keeps the names in this process alone.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._was_applied: dict[str, bool] = {}
        self._num_read = 0
        self._lock = threading.Lock()

    def label(self, index: str, *, applied: bool) -> str:
        """Return the label of an index expression that was searched, `OTHER` if there are too many.

        `applied` says whether the search was reranked.
        """
        name = index or EVERYTHING
        known = self._was_applied.get(name)
        if known or (known is False and not applied):
            return name
        if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
            return OTHER
        with self._lock:
            self._admit(name, applied=applied)
            return name if name in self._was_applied else OTHER

    def _admit(self, name: str, *, applied: bool) -> None:
        """Give a name a place, if no other worker has and one is free."""
        if self._file is None:
            self._take_place(name, applied=applied)
            return
        try:
            if self._is_behind(self._file) or self._free_group(name, applied=applied) is not None:
                with _locked(self._file) as shared:
                    self._read(shared)
                    if self._take_place(name, applied=applied):
                        self._append(shared, name)
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("cannot share the names of indices in %s: %s. This worker goes on alone",
                         self._file, error)  # fmt: skip
            self._file = None
            self._take_place(name, applied=applied)

    def _free_group(self, name: str, *, applied: bool) -> bool | None:
        """Return the group that a name may join: True if it is that of reranked names, None if there is none.

        A reranked name that finds its group full may still join the other one.
        """
        num_applied = sum(self._was_applied.values())
        if applied and num_applied < MAX_APPLIED and not self._was_applied.get(name):
            return True
        has_room = len(self._was_applied) - num_applied < MAX_OTHERS
        return False if name not in self._was_applied and has_room else None

    def _take_place(self, name: str, *, applied: bool) -> bool:
        """Note a name's new place; return whether there is one."""
        group = self._free_group(name, applied=applied)
        if group is None:
            return False
        self._was_applied[name] = group
        return True

    def _is_behind(self, file: Path) -> bool:
        """Whether another worker has added names."""
        return file.exists() and file.stat().st_size != self._num_read

    def _read(self, shared: int) -> None:
        """Read the names that other workers have added."""
        content = os.pread(shared, os.fstat(shared).st_size - self._num_read, self._num_read)
        self._was_applied |= [_LINE.decode(line) for line in content.splitlines()]
        self._num_read += len(content)

    def _append(self, shared: int, name: str) -> None:
        """Add a name for the other workers.

        Raises:
            OSError: the disk has no room. Nothing of the line stays.
        """
        line = msgspec.json.encode((name, self._was_applied[name])) + b"\n"
        if os.write(shared, line) < len(line):
            os.ftruncate(shared, self._num_read)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._num_read += len(line)


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open a file for this process alone; the lock ends with the process, however that happens."""
    shared = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(shared, fcntl.LOCK_EX)
        yield shared
    finally:
        os.close(shared)
