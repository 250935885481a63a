"""What becomes of one write so that its vector is current or absent: the plan, before anything is encoded.

A plan is made from the operation and from what is stored; it says which texts it wants vectors of, and, given
them, what is sent. The rules are those of docs/ingest.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from indexer.document import Document, text_of
from indexer.enrich import chunking_of
from opensearch import vectors
from opensearch.settings import RerankSettings
from opensearch.stored_documents import Stored
from opensearch.write_operation import Lock, Operation
from opensearch.write_target import WriteTarget
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack
from reranker.text import text_hash

Fresh = Mapping[int, bytes | None] | None
"""Stored vectors by text hash, as far as they could be made; None: no vector may be sent at all."""


class Check(Enum):
    """When the document must be read back after its write and given the vector that fits."""

    NEVER = "never"
    IF_CREATED = "if_created"
    UNLESS_CREATED = "unless_created"
    ALWAYS = "always"

    def is_due(self, result: str) -> bool:
        """Return whether a write with that `result` must be looked at."""
        if self in (Check.IF_CREATED, Check.UNLESS_CREATED):
            return result != "noop" and (result == "created") == (self is Check.IF_CREATED)
        return self is Check.ALWAYS


@dataclass(frozen=True)
class Text:
    """A text that needs a vector, with the current one that is there already."""

    text: str
    hash: int
    held: bytes | None

    def vector(self, fresh: Fresh) -> bytes | None:
        """Return the text's stored vector; None where it has no text or could not be encoded."""
        return None if fresh is None or not self.text else self.held or fresh.get(self.hash)


@dataclass(frozen=True)
class Sent:
    """What is sent in the operation's place: its source, under a lock of ours or none."""

    source: bytes | None
    lock: Lock | None = None
    check: Check = Check.NEVER


@dataclass(frozen=True)
class Plan:
    """The texts that need vectors, and what is sent once there are any."""

    operation: Operation
    texts: tuple[Text, ...]
    finish: Callable[[Fresh], Sent]

    @classmethod
    def as_it_came(cls, operation: Operation, check: Check = Check.NEVER) -> "Plan":
        """Send the client's own bytes."""
        return cls(operation, (), lambda fresh: Sent(operation.source, None, check))


@dataclass(frozen=True)
class Situation:
    """What is known when an operation is planned.

    Attributes:
        target: the index that it goes to.
        stored: what is stored now; None where that is unknown.
        is_repeated: an operation before it in the same bulk goes to the same document.
        may_lock: whether a conflict with a lock of ours can be seen and tried again.
        model_tag: the tag of vectors that count; None: the settings name another model, whose vectors are
            judged by their text alone.
    """

    target: WriteTarget
    stored: Stored | None
    is_repeated: bool
    may_lock: bool
    model_tag: int | None

    @property
    def settings(self) -> RerankSettings:
        """The index's settings."""
        return self.target.settings

    def text(self, values: Mapping[str, Any], *candidates: bytes | None) -> Text:
        """Return a document's text, with the first of the candidates that is its current vector."""
        text = text_of(values, self.settings.source_fields)
        hashed = text_hash(text, chunking_of(self.settings))
        return Text(text, hashed, next((one for one in candidates if self.is_current(one, hashed)), None))

    def is_current(self, packed: bytes | None, hashed: int) -> bool:
        """Return whether a stored vector is that of the text with this hash."""
        if packed is None:
            return False
        try:
            vector = unpack(packed)
        except StoredVectorError:
            return False
        return vector.text_hash == hashed and self.model_tag in (None, vector.model_tag)

    def own(self, values: Mapping[str, Any]) -> bytes | None:
        """Return the vector that a document carries."""
        return vectors.decoded(vectors.value_at(values, self.settings.field))


def plan_index(operation: Operation, source: str, situation: Situation) -> Plan:
    """Plan an `index` or `create`.

    Raises:
        DocumentError: the source is no JSON object, or holds something else where the vector belongs.
    """
    field, *others = situation.settings.fields
    for other in others:  # the other model's during a change of model: it is sync's to make anew
        source = Document(source).without_vector(other)
    document = Document(source)
    bare = document.without_vector(field)
    if situation.target.runs_pipeline(operation):
        return Plan(operation, (), lambda fresh: Sent(line_of(bare), None, Check.ALWAYS))
    text = situation.text(document.values, situation.own(document.values))

    def finish(fresh: Fresh) -> Sent:
        packed = text.vector(fresh)
        if packed is None:
            return Sent(line_of(bare), None, Check.ALWAYS if text.text else Check.NEVER)
        return Sent(line_of(document.with_vector(field, vectors.encoded(packed))))

    return Plan(operation, (text,), finish)


def line_of(source: str) -> bytes:
    """Return a source as a line of a bulk."""
    return source.rstrip("\r\n").encode() + b"\n"
