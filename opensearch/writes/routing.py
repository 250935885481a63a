"""Which shard a routing value leads to, to find a document whose routing is not known.

An ingest pipeline may set `_routing`, which the response to the write does not contain. A get by id accepts
any routing value of the same shard, in real time, and returns the document's own. So one value for each
shard is enough to search all of them.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import count

_BITS = 0xFFFFFFFF
_ROUTING_SHARDS = 1024
"""OpenSearch's default for `index.number_of_routing_shards` is the largest multiple up to this, doubled from
the number of shards."""


@dataclass(frozen=True)
class ShardCount:
    """How an index spreads its documents: `number` of shards, `routing_partition_size` of each routing."""

    number: int = 1
    partition_size: int = 1

    def find_shard(self, routing: str, document_id: str) -> int:
        """Return the shard to which a routing value leads, 0 to `number` - 1.

        True of indices with OpenSearch's own number of routing shards, which are not split or shrunk: their
        number cannot be read.
        """
        offset = murmur3(document_id) % self.partition_size if self.partition_size > 1 else 0
        per_shard = _count_routing_shards(self.number) // self.number
        return (murmur3(routing) + offset) % (per_shard * self.number) // per_shard

    def find_routings(self, document_id: str) -> tuple[str, ...]:
        """Return as many routing values as there are shards, each of which leads to another one."""
        offset = murmur3(document_id) % self.partition_size if self.partition_size > 1 else 0
        return _find_routings(self, document_id if offset else "")


@lru_cache(256)
def _find_routings(shards: ShardCount, document_id: str) -> tuple[str, ...]:
    found: dict[int, str] = {}
    for number in count():
        if len(found) == shards.number:
            break
        found.setdefault(shards.find_shard(str(number), document_id), str(number))
    return tuple(found.values())


def murmur3(text: str) -> int:
    """Return OpenSearch's hash of a routing value or id: 32-bit MurmurHash3 of its UTF-16, signed.

    Own code, since a library for these lines alone would be one more dependency of every installation.
    """
    data = text.encode("utf-16-le", "surrogatepass")
    hashed = 0
    whole = len(data) // 4 * 4
    for start in range(0, whole, 4):
        hashed ^= _mix(int.from_bytes(data[start : start + 4], "little"))
        hashed = (_rotate(hashed, 13) * 5 + 0xE6546B64) & _BITS
    if data[whole:]:
        hashed ^= _mix(int.from_bytes(data[whole:], "little"))
    hashed ^= len(data)
    hashed = ((hashed ^ hashed >> 16) * 0x85EBCA6B) & _BITS
    hashed = ((hashed ^ hashed >> 13) * 0xC2B2AE35) & _BITS
    hashed ^= hashed >> 16
    return hashed - (1 << 32) if hashed >> 31 else hashed


def _mix(block: int) -> int:
    return _rotate(block * 0xCC9E2D51 & _BITS, 15) * 0x1B873593 & _BITS


def _rotate(value: int, by: int) -> int:
    return (value << by | value >> 32 - by) & _BITS


def _count_routing_shards(number: int) -> int:
    """Return OpenSearch's default number of routing shards: `number` doubled while it stays within 1,024."""
    doublings = max(1, 10 - (number - 1).bit_length())
    return number << doublings
