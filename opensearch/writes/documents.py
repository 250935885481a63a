"""Documents as they are stored now, read in real time, and the updates that give them vectors later.

`_mget` and not a search: a search sees what the last refresh made visible, and a partial update must be
merged with what is there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearch.fields import stored_vectors
from opensearch.writes.operation import Lock


@dataclass(frozen=True)
class DocumentKey:
    """What identifies one document."""

    index: str
    id: str
    routing: str | None = None


@dataclass(frozen=True)
class StoredDocument:
    """What was found: the members that were asked for, None without a document, its lock and its routing."""

    source: dict[str, Any] | None
    lock: Lock
    routing: str | None = None

    def packed(self, field: str) -> bytes | None:
        """Return the stored vector's bytes."""
        return (
            None
            if self.source is None
            else stored_vectors.decode(stored_vectors.find_value(self.source, field))
        )


ABSENT = StoredDocument(None, Lock(-1, -1))

_NOWHERE = frozenset({"index_not_found_exception", "routing_missing_exception"})
"""Errors that say that there is no such document."""


def build_mget_body(wanted: Sequence[tuple[DocumentKey, Sequence[str]]]) -> bytes:
    """Return the body of an `_mget` for places and the fields that are wanted of each."""
    docs = [
        {"_index": key.index, "_id": key.id, "_source": list(fields)}
        | ({} if key.routing is None else {"routing": key.routing})
        for key, fields in wanted
    ]
    return json.dumps({"docs": docs}).encode()


def read_mget(body: bytes) -> list[StoredDocument | None]:
    """Return the documents of an `_mget`, in its order: None for one that could not be looked up.

    Lone surrogates, which OpenSearch stores, are read too.

    Raises:
        ValueError: it is no response to an `_mget`.
    """
    try:
        return [_read_document(doc) for doc in json.loads(body, parse_int=float)["docs"]]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"expected the response to an _mget, found {body[:200]!r}") from error


def _read_document(doc: dict[str, Any]) -> StoredDocument | None:
    if "error" in doc:
        return ABSENT if doc["error"].get("type") in _NOWHERE else None
    if not doc["found"]:
        return ABSENT
    lock = Lock(int(doc["_seq_no"]), int(doc["_primary_term"]))
    return StoredDocument(doc.get("_source", {}), lock, doc.get("_routing"))


def build_repair_lines(key: DocumentKey, lock: Lock, packed: Mapping[str, bytes | None]) -> bytes:
    """Return the two lines that set a document's vectors by their fields, or take them away.

    They hold only if the document is still as it was read.

    A `_bulk` update: it runs no ingest pipeline, not even an index's default or final one, as `_update` does.
    """
    parameters: dict[str, Any] = {"_index": key.index, "_id": key.id}
    if key.routing is not None:
        parameters["routing"] = key.routing
    parameters |= {"if_seq_no": lock.seq_no, "if_primary_term": lock.primary_term}
    doc: dict[str, Any] = {}
    for field, value in packed.items():
        inner = doc
        *parents, last = field.split(".")
        for name in parents:
            inner = inner.setdefault(name, {})
        inner[last] = None if value is None else stored_vectors.encode(value)
    return json.dumps({"update": parameters}).encode() + b"\n" + json.dumps({"doc": doc}).encode() + b"\n"
