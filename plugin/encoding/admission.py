"""Whether one more search is reranked, judged by this worker's queues alone.

How long a service takes does not count. On a machine that others keep busy everything takes longer, and
refusing searches does not help. Only a queue in this worker says that more comes than it can do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from plugin.encoding.standing_queue import StandingQueue

MAX_WAITING_REQUESTS = 64
"""Requests that may wait for a thread of one worker. While more wait, no search is reranked."""

MAX_SERVICE_WAIT_S = 0.01
"""The shortest wait for a thread in a whole window. While it is longer, no search is reranked."""

OTHERS_IN_A_QUEUE = 3
"""Other requests in flight that make a queue. If fewer wait long for a thread, the machine is slow."""

SHARE_OF_DEADLINE = 0.5
"""The share of a search's deadline that the encoder's queue may use."""

QUEUES = ("requests", "service", "encoder")
"""What may refuse a search: too many requests wait for a thread, all wait too long for one, or queries wait
too long for the encoder."""

Queue = Literal["requests", "service", "encoder"]


@dataclass(frozen=True)
class Waits:
    """What a search finds ahead of it in its worker.

    `num_others` counts all other requests that are in flight or wait, `num_requests` those of them that wait
    for a thread. `num_queries` are being encoded or wait for it. `encoding_s` is the processor time of the
    search's own encoding, None if there is nothing to encode; `deadline_s` is how long it waits for its
    vector. `follows_page` says that an earlier page of it was reranked.
    """

    num_others: int
    num_requests: int
    num_queries: int
    encoding_s: float | None
    deadline_s: float
    follows_page: bool = False


class Admission:
    """One worker's rule, and the two queues that it judges by."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.service = StandingQueue(clock)
        self.encoder = StandingQueue(clock)
        self.on_refused: Callable[[Queue], None] = lambda queue: None

    def admits(self, waits: Waits) -> bool:
        """Whether a search is reranked."""
        queue = self.refusal(waits)
        if queue is not None:
            self.on_refused(queue)
        return queue is None

    def refusal(self, waits: Waits) -> Queue | None:
        """Return the queue that refuses a search, None if the search is reranked."""
        if waits.num_others == 0:
            return None
        if waits.num_requests >= MAX_WAITING_REQUESTS:
            return "requests"
        if waits.follows_page:
            return None
        if waits.num_others >= OTHERS_IN_A_QUEUE and self.service.least_s() > MAX_SERVICE_WAIT_S:
            return "service"
        return "encoder" if self._encodes_too_late(waits) else None

    def _encodes_too_late(self, waits: Waits) -> bool:
        """Whether the encoder's queue uses too much of a search's deadline; an empty queue never does."""
        if waits.encoding_s is None:
            return False
        longest_s = SHARE_OF_DEADLINE * waits.deadline_s
        if (waits.num_queries + 1) * waits.encoding_s > longest_s:
            return True
        return waits.num_queries > 0 and self.encoder.least_s() > longest_s
