"""Whether one more search is reranked: by the queues that stand in this worker, and by nothing else.

No time of a service counts here. On a machine that others keep busy everything takes longer, which refusing
searches does not change; only a queue of this worker's own says that more comes than it can do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from plugin.encoding.standing_queue import StandingQueue

MAX_WAITING_REQUESTS = 64
"""Requests that may wait for a thread of one worker before no more is reranked."""

MAX_SERVICE_WAIT_S = 0.01
"""The least wait for a thread, through a whole window, from which on nothing more is reranked."""

SHARE_OF_DEADLINE = 0.5
"""What the queue before the encoder may use of a search's deadline."""

QUEUES = ("requests", "service", "encoder")
"""What may refuse a search: too many wait for a thread, all wait too long for one, or for the encoder."""

Queue = Literal["requests", "service", "encoder"]


@dataclass(frozen=True)
class Waits:
    """What one search finds before it in its worker.

    `num_others` counts the other requests of any kind that are answered or wait, `num_requests` those of them
    that wait for a thread. `num_queries` are at the encoder or before it. `encoding_s` is the processor time
    that its own encoding takes, None if there is nothing to encode; `deadline_s` is how long it waits for
    its vector. `follows_page` says that an earlier page of it was reranked.
    """

    num_others: int
    num_requests: int
    num_queries: int
    encoding_s: float | None
    deadline_s: float
    follows_page: bool = False


class Admission:
    """One worker's rule, and the two queues that it looks at."""

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
        """Return the queue because of which a search is not reranked, None if it is."""
        if waits.num_others == 0:
            return None
        if waits.num_requests >= MAX_WAITING_REQUESTS:
            return "requests"
        if waits.follows_page:
            return None
        if self.service.least_s() > MAX_SERVICE_WAIT_S:
            return "service"
        return "encoder" if self._encodes_too_late(waits) else None

    def _encodes_too_late(self, waits: Waits) -> bool:
        """Whether the encoder's queue uses up too much of a search's deadline; an empty queue never does."""
        if waits.encoding_s is None:
            return False
        longest_s = SHARE_OF_DEADLINE * waits.deadline_s
        if (waits.num_queries + 1) * waits.encoding_s > longest_s:
            return True
        return waits.num_queries > 0 and self.encoder.least_s() > longest_s
