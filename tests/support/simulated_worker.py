"""One worker on a clock of its own: threads that take turns, and one encoder, before one admission."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

from plugin.encoding.admission import Admission, Waits

Event = Callable[[], None]

DEADLINE_S = 0.05


@dataclass(frozen=True)
class Times:
    """Processor seconds of a search's parts; `slowness` is how many times as long they take on the clock."""

    thread_s: float = 0.001
    encoding_s: float = 0.004
    opensearch_s: float = 0.003
    slowness: float = 1.0


@dataclass
class Seen:
    """What came of the searches, with the seconds that queries waited for the encoder."""

    reranked: int = 0
    refused: int = 0
    encoder_waits_s: list[float] = field(default_factory=list)


class SimulatedWorker:
    """Answers searches whose queries are all distinct."""

    def __init__(self, times: Times) -> None:
        self.now_s = 0.0
        self.seen = Seen()
        self._times = times
        self._admission = Admission(lambda: self.now_s)
        self._events: list[tuple[float, int, Event]] = []
        self._order = count()
        self._thread_free_s = self._encoder_free_s = 0.0
        self._in_flight = self._num_requests = self._num_queries = 0

    def search(self, done: Event = lambda: None) -> None:
        """Let a search arrive now; `done` follows its answer."""
        self._in_flight += 1
        self._num_requests += 1
        arrived_s, begins_s = self.now_s, max(self.now_s, self._thread_free_s)
        self._thread_free_s = begins_s + self._lasts(self._times.thread_s)
        self.at(begins_s, lambda: self._begun(begins_s - arrived_s, done))

    def at(self, when_s: float, event: Event) -> None:
        """Let something happen then."""
        heapq.heappush(self._events, (when_s, next(self._order), event))

    def run(self, seconds: float) -> Seen:
        """Let that much time pass, and return what was seen."""
        while self._events and self._events[0][0] < seconds:
            self.now_s, _, event = heapq.heappop(self._events)
            event()
        return replace(self.seen)

    def closed_loop(self, clients: int) -> None:
        """Let so many clients search, each again as soon as it is answered."""

        def again() -> None:
            self.at(self.now_s, lambda: self.search(again))

        for _ in range(clients):
            again()

    def open_loop(self, rate: float, seconds: float) -> None:
        """Let searches come at random, so many a second, answered or not."""
        drawn, at_s = random.Random(7), 0.0
        while at_s < seconds:
            at_s += drawn.expovariate(rate)
            self.at(at_s, self.search)

    def _begun(self, waited_s: float, done: Event) -> None:
        self._num_requests -= 1
        self._admission.service.record_wait(waited_s)
        waits = Waits(
            num_others=self._in_flight - 1,
            num_requests=self._num_requests,
            num_queries=self._num_queries,
            encoding_s=self._times.encoding_s,
            deadline_s=DEADLINE_S,
        )
        asked_until_s = self.now_s + self._lasts(self._times.thread_s) + self._lasts(self._times.opensearch_s)
        if self._admission.admits(waits):
            self.seen.reranked += 1
            asked_until_s = max(asked_until_s, self._encoded_s())
        else:
            self.seen.refused += 1
        self.at(asked_until_s, lambda: self._ended(done))

    def _encoded_s(self) -> float:
        """Queue a query now, and return when it will be encoded."""
        begins_s = max(self.now_s, self._encoder_free_s)
        ends_s = self._encoder_free_s = begins_s + self._lasts(self._times.encoding_s)
        waited_s = begins_s - self.now_s
        self._num_queries += 1
        self.at(begins_s, lambda: self._admission.encoder.record_wait(waited_s))
        self.at(ends_s, self._query_ended)
        self.seen.encoder_waits_s.append(waited_s)
        return ends_s

    def _query_ended(self) -> None:
        self._num_queries -= 1

    def _ended(self, done: Event) -> None:
        self._in_flight -= 1
        done()

    def _lasts(self, processor_s: float) -> float:
        return processor_s * self._times.slowness
