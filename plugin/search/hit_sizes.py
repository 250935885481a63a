"""How many bytes a hit of each target has, so that fat ones are asked for only where they are shown."""

import threading

from cachetools import LRUCache

WORTH_BYTES = 200_000
"""Bytes of hits, vectors included, that are worth a second request where no page shows them."""

_SHARE_OF_THE_NEWEST = 0.2
_MAX_TARGETS = 10_000


class HitSizes:
    """A moving average a target."""

    def __init__(self) -> None:
        self._bytes: LRUCache[str, float] = LRUCache(_MAX_TARGETS)
        self._lock = threading.Lock()

    def are_worth_leaving_out(self, target: str, num_hits: int) -> bool:
        """Whether so many hits of a target cost more than a second request; not, where none is known."""
        with self._lock:
            return self._bytes.get(target, 0.0) * num_hits > WORTH_BYTES

    def seen(self, target: str, num_bytes: int, num_hits: int) -> None:
        """Note an answer with whole hits."""
        if not num_hits:
            return
        with self._lock:
            before = self._bytes.get(target)
            newest = num_bytes / num_hits
            self._bytes[target] = (
                newest if before is None else before + _SHARE_OF_THE_NEWEST * (newest - before)
            )
