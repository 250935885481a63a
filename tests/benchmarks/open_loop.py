"""Searches that are sent when their time has come, whether or not the ones before are answered.

A closed loop slows down with the server that it measures; this one does not, and counts each search's time
from the moment at which it was due (no coordinated omission).
"""

import http.client
import json
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import numpy as np

SENDERS = 128
"""Searches in flight at once; at the rates measured here there are always some left."""


@dataclass
class Answered:
    """What came of one run: milliseconds of each search from when it was due, and what was answered."""

    rate: float
    ms: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    @property
    def share_applied(self) -> float:
        """The share of the searches that were reranked."""
        return self.outcomes["applied"] / max(1, len(self.ms))

    def percentiles_ms(self) -> tuple[float, float, float]:
        """p50, p95 and p99."""
        p50, p95, p99 = np.percentile(self.ms or [0.0], [50, 95, 99])
        return float(p50), float(p95), float(p99)


def open_loop(
    url: str, target: str, bodies: Sequence[object], rate: float, *, senders: int = SENDERS
) -> Answered:
    """Send `bodies` at `rate` a second, at random distances (a Poisson process), and wait for all answers."""
    answered, due = Answered(rate), queue.SimpleQueue[tuple[float, bytes] | None]()
    lock = threading.Lock()
    threads = [
        threading.Thread(target=_send, args=(urlsplit(url).netloc, target, due, answered, lock))
        for _ in range(senders)
    ]
    for thread in threads:
        thread.start()
    for at_s, body in zip(_times(rate), bodies, strict=False):
        time.sleep(max(0.0, at_s - time.perf_counter()))
        due.put((at_s, json.dumps(body).encode()))
    for _ in threads:
        due.put(None)
    for thread in threads:
        thread.join()
    return answered


def _times(rate: float) -> Iterator[float]:
    drawn, at_s = random.Random(0), time.perf_counter()
    while True:
        at_s += drawn.expovariate(rate)
        yield at_s


def _send(
    address: str,
    target: str,
    due: "queue.SimpleQueue[tuple[float, bytes] | None]",
    answered: Answered,
    lock: threading.Lock,
) -> None:
    connection = http.client.HTTPConnection(address, timeout=120)
    headers = {"Content-Type": "application/json"}
    while (each := due.get()) is not None:
        at_s, body = each
        try:
            connection.request("POST", target, body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            with lock:
                answered.faults[repr(error)] += 1
            continue
        told = response.headers.get("Rerank-Status", "")
        outcome = told.partition(";")[0] if told.startswith("applied") else told.partition("reason=")[2]
        with lock:
            answered.ms.append((time.perf_counter() - at_s) * 1000)
            answered.statuses[response.status] += 1
            answered.outcomes[outcome] += 1
    connection.close()
