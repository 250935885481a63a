"""Records that wait to be written: a bounded queue, which a search never waits for."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from plugin.http.headers import Headers
from plugin.ubi.record import UbiRecord

MAX_RECORDS = 10_000
MAX_BYTES = 16 * 1024 * 1024
"""What one worker keeps at most; further records are lost."""


@dataclass(frozen=True)
class QueuedRecord:
    """A record and in whose name it is written; `queued_s` is when it came, by the queue's clock."""

    record: UbiRecord
    identity: Headers
    queued_s: float
    num_bytes: int


class RecordQueue:
    """Records in the order in which they came. Several threads may use it."""

    def __init__(
        self,
        max_records: int = MAX_RECORDS,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_records, self._max_bytes = max_records, max_bytes
        self.clock = clock
        self._records: deque[QueuedRecord] = deque()
        self._num_bytes = 0
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """The number of records that wait."""
        return len(self._records)

    def put(self, record: UbiRecord, identity: Headers) -> bool:
        """Add a record; return whether there was room for it."""
        queued = QueuedRecord(record, identity, self.clock(), record.num_bytes)
        with self._changed:
            if not self._has_room(queued):
                return False
            self._records.append(queued)
            self._num_bytes += queued.num_bytes
            self._changed.notify()
        return True

    def put_back(self, records: Sequence[QueuedRecord]) -> int:
        """Put records back to be written again, the first of them first; return how many had no room."""
        num_lost = 0
        with self._changed:
            for each in reversed(records):
                if self._has_room(each):
                    self._records.appendleft(each)
                    self._num_bytes += each.num_bytes
                else:
                    num_lost += 1
        return num_lost

    def take(self, max_records: int) -> list[QueuedRecord]:
        """Take up to so many records."""
        with self._changed:
            taken = [self._records.popleft() for _ in range(min(max_records, len(self._records)))]
            self._num_bytes -= sum(each.num_bytes for each in taken)
        return taken

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is a record, `timeout_s` at most; return whether there is one."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._records), timeout_s)

    def wake(self) -> None:
        """End a `wait` that goes on."""
        with self._changed:
            self._changed.notify_all()

    def _has_room(self, queued: QueuedRecord) -> bool:
        return (
            len(self._records) < self._max_records and self._num_bytes + queued.num_bytes <= self._max_bytes
        )
