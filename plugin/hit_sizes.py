"""How many bytes a hit of each target has, so that fat ones are asked for only where they are shown."""

import threading

from cachetools import LRUCache

FAT_BYTES = 3000
"""A hit of more, its vector included, is worth a second request (docs/results.md has the measurement)."""

_SHARE_OF_THE_NEWEST = 0.2
_MAX_TARGETS = 10_000


class HitSizes:
    """A moving average a target."""

    def __init__(self) -> None:
        self._bytes: LRUCache[str, float] = LRUCache(_MAX_TARGETS)
        self._lock = threading.Lock()

    def are_fat(self, target: str) -> bool:
        """Whether the hits of a target were fat lately; not, where none is known."""
        with self._lock:
            return self._bytes.get(target, 0.0) > FAT_BYTES

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
