"""Which searches were reranked lately: a table that all workers share, so that pages agree across them.

The memory has slots of 16 bytes, and a search's key names its slot. There are no locks: a search whose slot
another takes is forgotten, and a slot that two write at once fails its check.
"""

import mmap
import struct
import time
import zlib
from collections.abc import Callable

NUM_SLOTS = 65_536
REMEMBERED_S = 60

_SLOT = struct.Struct("<QIB3s")
"""Key, second of the monotonic clock, decision, check."""

_SKIPPED, _RERANKED = 1, 2
_NUM_CHECKED = _SLOT.size - 3


class PageTable:
    """Decisions by key.

    Args:
        memory: where they are kept; what is mapped before a fork is shared after it.
        clock: seconds, the same for all who share the memory.
    """

    def __init__(
        self, memory: mmap.mmap | bytearray | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._memory = bytearray(1024 * _SLOT.size) if memory is None else memory
        self._num_slots = len(self._memory) // _SLOT.size
        self._clock = clock

    @classmethod
    def shared(cls) -> "PageTable":
        """Return a table that processes which are forked from now on share with this one."""
        return cls(mmap.mmap(-1, NUM_SLOTS * _SLOT.size))

    def was_reranked(self, key: int) -> bool | None:
        """Return whether a search of the last minute was reranked, None if nothing is known of it."""
        at = self._place(key)
        slot = bytes(self._memory[at : at + _SLOT.size])
        found, second, decision, check = _SLOT.unpack(slot)
        if found != key or check != _check(slot) or decision not in (_SKIPPED, _RERANKED):
            return None
        return decision == _RERANKED if 0 <= int(self._clock()) - second <= REMEMBERED_S else None

    def record(self, key: int, *, reranked: bool) -> None:
        """Record whether a search, whose key has 64 bits, was reranked just now."""
        decision = _RERANKED if reranked else _SKIPPED
        slot = _SLOT.pack(key, int(self._clock()) & 0xFFFFFFFF, decision, b"")
        at = self._place(key)
        self._memory[at : at + _SLOT.size] = slot[:_NUM_CHECKED] + _check(slot)

    def _place(self, key: int) -> int:
        return key % self._num_slots * _SLOT.size


def _check(slot: bytes) -> bytes:
    return zlib.crc32(slot[:_NUM_CHECKED]).to_bytes(4, "little")[:3]
