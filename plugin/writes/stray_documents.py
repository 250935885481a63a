"""Documents read back after their write, wherever an ingest pipeline has sent them."""

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
    """What is looked for: the fields of one document, and the lock that its write was answered with.

    `lock` is None if the answer told none; `shards` are those of the index.
    """

    fields: Sequence[str]
    lock: Lock | None
    shards: ShardCount

    def is_surely(self, stored: StoredDocument) -> bool:
        """Return whether a document with that id is as its write left it."""
        return stored.source is not None and self.lock in (None, stored.lock)

    def may_be(self, stored: StoredDocument) -> bool:
        """Return whether it may be what was written, or written since: numbers only grow on a shard."""
        return stored.source is not None and (self.lock is None or stored.lock.seq_no >= self.lock.seq_no)


@dataclass(frozen=True)
class Found:
    """Where a document lies, and what is stored.

    `stored` is None if it could not be looked for, and ABSENT if it is nowhere.
    """

    place: DocumentKey
    stored: StoredDocument | None


def find_documents(
    upstream: Upstream, headers: Headers, sought: Mapping[DocumentKey, Sought]
) -> dict[DocumentKey, Found]:
    """Return the documents, by the places at which they should lie.

    A pipeline may set `_routing`: what does not lie at its place is looked for on every shard, in real time.
    If one document is found elsewhere, so are the others of the same index, since the same ids may stand at
    their places under the former routing.
    """
    read = read_documents(upstream, headers, [(place, one.fields) for place, one in sought.items()])
    found = {place: Found(place, stored) for place, stored in zip(sought, read, strict=True)}
    known = {place: one.stored for place, one in found.items() if one.stored is not None}
    strays = {place: sought[place] for place, stored in known.items() if not sought[place].is_surely(stored)}
    elsewhere = _everywhere(upstream, headers, strays)
    moved = {place.index for place, one in elsewhere.items() if one.place != place}
    others = {place: sought[place] for place in known if place.index in moved and place not in strays}
    return found | elsewhere | _everywhere(upstream, headers, others)


def _everywhere(
    upstream: Upstream, headers: Headers, strays: Mapping[DocumentKey, Sought]
) -> dict[DocumentKey, Found]:
    """Return the documents wherever they lie; those of an index of too many shards count as nowhere."""
    wanted: list[Wanted] = []
    owners: list[DocumentKey] = []
    for place, one in strays.items():
        is_searched = 1 < one.shards.number <= MAX_SHARDS
        routings = one.shards.one_routing_each(place.id) if is_searched else (place.routing,)
        wanted += [(DocumentKey(place.index, place.id, routing), one.fields) for routing in routings]
        owners += [place] * len(routings)
    found: dict[DocumentKey, list[StoredDocument | None]] = {place: [] for place in strays}
    for place, stored in zip(owners, read_documents(upstream, headers, wanted), strict=True):
        if stored is None or strays[place].may_be(stored):
            found[place].append(stored)
    return {place: _nearest(place, strays[place], copies) for place, copies in found.items()}


def _nearest(place: DocumentKey, sought: Sought, copies: list[StoredDocument | None]) -> Found:
    """Return the one of the documents with that id that was most likely written."""
    known = [stored for stored in copies if stored is not None]
    if not known:
        return Found(place, None if copies else ABSENT)

    def likelihood(stored: StoredDocument) -> tuple[bool, bool, int]:
        return sought.is_surely(stored), stored.routing != place.routing, stored.lock.seq_no

    best = max(known, key=likelihood)
    return Found(DocumentKey(place.index, place.id, best.routing), best)
