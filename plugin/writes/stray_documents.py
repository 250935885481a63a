"""Documents read back after their write, even if an ingest pipeline has changed their routing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opensearch.writes.documents import ABSENT, DocumentKey, StoredDocument
from opensearch.writes.operation import Lock
from opensearch.writes.routing import ShardCount
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream
from plugin.upstream.documents import Wanted, read_documents

MAX_SHARDS = 64
"""A document is looked for on every shard of an index that has no more than these."""


@dataclass(frozen=True)
class Sought:
    """What is looked for: the fields of one document, and the lock that its write got.

    `lock` is None if the response did not hold one; `shards` are those of the index.
    """

    fields: Sequence[str]
    lock: Lock | None
    shards: ShardCount

    def is_certainly(self, stored: StoredDocument) -> bool:
        """Return whether a document with that id is certainly the one that was written, unchanged."""
        return stored.source is not None and self.lock in (None, stored.lock)

    def may_be(self, stored: StoredDocument) -> bool:
        """Return whether it may be the written one, or a later version: numbers only grow on a shard."""
        return stored.source is not None and (self.lock is None or stored.lock.seq_no >= self.lock.seq_no)


@dataclass(frozen=True)
class Found:
    """A document that was looked for: its true key, and what is stored.

    `stored` is None if it could not be looked for, and ABSENT if it is nowhere.
    """

    key: DocumentKey
    stored: StoredDocument | None


def find_documents(
    upstream: Upstream, headers: Headers, sought: Mapping[DocumentKey, Sought]
) -> dict[DocumentKey, Found]:
    """Return the documents, by the keys that they should have.

    A pipeline may set `_routing`: a document that is not on its shard is looked for on every shard, in real
    time. If one is found elsewhere, the others of the same index are looked for too: under the former
    routing, other documents with the same ids may be on their shards.
    """
    read = read_documents(upstream, headers, [(key, one.fields) for key, one in sought.items()])
    found = {key: Found(key, stored) for key, stored in zip(sought, read, strict=True)}
    known = {key: one.stored for key, one in found.items() if one.stored is not None}
    strays = {key: sought[key] for key, stored in known.items() if not sought[key].is_certainly(stored)}
    elsewhere = _search_all_shards(upstream, headers, strays)
    moved = {key.index for key, one in elsewhere.items() if one.key != key}
    others = {key: sought[key] for key in known if key.index in moved and key not in strays}
    return found | elsewhere | _search_all_shards(upstream, headers, others)


def _search_all_shards(
    upstream: Upstream, headers: Headers, strays: Mapping[DocumentKey, Sought]
) -> dict[DocumentKey, Found]:
    """Return the documents from any shard; those of an index with too many shards count as missing."""
    wanted: list[Wanted] = []
    owners: list[DocumentKey] = []
    for key, one in strays.items():
        is_searched = 1 < one.shards.number <= MAX_SHARDS
        routings = one.shards.find_routings(key.id) if is_searched else (key.routing,)
        wanted += [(DocumentKey(key.index, key.id, routing), one.fields) for routing in routings]
        owners += [key] * len(routings)
    found: dict[DocumentKey, list[StoredDocument | None]] = {key: [] for key in strays}
    for key, stored in zip(owners, read_documents(upstream, headers, wanted), strict=True):
        if stored is None or strays[key].may_be(stored):
            found[key].append(stored)
    return {key: _choose_copy(key, strays[key], copies) for key, copies in found.items()}


def _choose_copy(key: DocumentKey, sought: Sought, copies: list[StoredDocument | None]) -> Found:
    """Return the document that was most likely written, among those with its id."""
    known = [stored for stored in copies if stored is not None]
    if not known:
        return Found(key, None if copies else ABSENT)

    def likelihood(stored: StoredDocument) -> tuple[bool, bool, int]:
        return sought.is_certainly(stored), stored.routing != key.routing, stored.lock.seq_no

    best = max(known, key=likelihood)
    return Found(DocumentKey(key.index, key.id, best.routing), best)
