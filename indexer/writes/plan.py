"""What becomes of one write so that its vector is current or absent: the plan, before anything is encoded.

A plan is made from the operation and from what is stored; it says which texts it wants vectors of, and, given
them, what is sent. The rules are those of docs/ingest.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from indexer.document import Document, text_of
from indexer.enricher import chunking_of
from opensearch.fields import stored_vectors
from opensearch.settings.table import RerankSettings
from opensearch.writes.documents import Stored
from opensearch.writes.operation import Lock, Operation
from opensearch.writes.target import WriteTarget
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack
from reranker.text import text_hash

Fresh = Mapping[tuple[str, int], bytes | None] | None
"""Stored vectors by model and text hash, as far as they could be made; None: none may be sent at all."""


class Check(Enum):
    """When the document must be read back after its write and given the vector that fits."""

    NEVER = "never"
    IF_CREATED = "if_created"
    UNLESS_CREATED = "unless_created"
    ALWAYS = "always"

    def is_due(self, result: str) -> bool:
        """Return whether a write with that `result` must be looked at; what it has deleted need not."""
        if result == "deleted":
            return False
        if self in (Check.IF_CREATED, Check.UNLESS_CREATED):
            return result != "noop" and (result == "created") == (self is Check.IF_CREATED)
        return self is Check.ALWAYS


@dataclass(frozen=True)
class Text:
    """A text that needs a model's vector in a field, with the current one that is there already."""

    text: str
    hash: int
    held: bytes | None
    model: str
    field: str

    @property
    def key(self) -> tuple[str, int]:
        """What its vector is known by."""
        return self.model, self.hash

    def vector(self, fresh: Fresh) -> bytes | None:
        """Return the text's stored vector; None where it has no text or could not be encoded."""
        return None if fresh is None or not self.text else self.held or fresh.get(self.key)


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
        tags: the tags of the models at hand, by name; the vectors of others are judged by their text alone.
    """

    target: WriteTarget
    stored: Stored | None
    is_repeated: bool
    may_lock: bool
    tags: Mapping[str, int]

    @property
    def settings(self) -> RerankSettings:
        """The index's settings."""
        return self.target.settings

    def texts(self, values: Mapping[str, Any], *holders: Mapping[str, Any] | None) -> tuple[Text, ...]:
        """Return a document's text once for each field, with the first current vector that a holder has.

        The field that searches use comes first; a change of model has a second one.
        """
        text = text_of(values, self.settings.source_fields)
        hashed = text_hash(text, chunking_of(self.settings))
        return tuple(
            Text(text, hashed, self._held(hashed, model, field, holders), model, field)
            for model, field in self.settings.models.items()
        )

    def _held(
        self, hashed: int, model: str, field: str, holders: tuple[Mapping[str, Any] | None, ...]
    ) -> bytes | None:
        found = (vector_in(holder, field) for holder in holders if holder is not None)
        return next((packed for packed in found if self.is_current(packed, hashed, model)), None)

    def is_current(self, packed: bytes | None, hashed: int, model: str) -> bool:
        """Return whether a stored vector is that model's of the text with this hash."""
        if packed is None:
            return False
        try:
            vector = unpack(packed)
        except StoredVectorError:
            return False
        return vector.text_hash == hashed and self.tags.get(model) in (None, vector.model_tag)

    def is_missing(self, text: Text, fresh: Fresh) -> bool:
        """Return whether a text has no vector although one can be made here."""
        is_made = self.settings.enabled and text.model in self.tags
        return is_made and bool(text.text) and text.vector(fresh) is None

    def check(self, texts: Sequence[Text], fresh: Fresh) -> Check:
        """Return whether a document that is written so must be looked at afterwards."""
        return Check.ALWAYS if any(self.is_missing(text, fresh) for text in texts) else Check.NEVER


def vector_in(values: Mapping[str, Any], field: str) -> bytes | None:
    """Return the stored vector that a document carries in a field."""
    return stored_vectors.decoded(stored_vectors.value_at(values, field))


def plan_index(operation: Operation, source: str, situation: Situation) -> Plan:
    """Plan an `index` or `create`.

    Raises:
        DocumentError: the source is no JSON object, or holds something else where a vector belongs.
    """
    document = Document(source)
    bare = source
    for field in reversed(situation.settings.fields):
        bare = Document(bare).without_vector(field)
    if situation.target.runs_pipeline(operation):
        return Plan(operation, (), lambda fresh: Sent(line_of(bare), None, Check.ALWAYS))
    texts = situation.texts(document.values, document.values)

    def finish(fresh: Fresh) -> Sent:
        return Sent(line_of(with_vectors(source, texts, fresh)), None, situation.check(texts, fresh))

    return Plan(operation, texts, finish)


def with_vectors(source: str, texts: Sequence[Text], fresh: Fresh, *, drops: bool = False) -> str:
    """Return a source with the vectors of its texts, the first one last, where searches find it quickest.

    Where one could not be made, a partial document `drops` the stored one by `null`; a whole one has none.

    Raises:
        DocumentError: something that is no object stands where a vector belongs.
    """
    for text in reversed(texts):
        document, packed = Document(source), text.vector(fresh)
        if packed is not None:
            source = document.with_vector(text.field, stored_vectors.encoded(packed))
        else:
            source = document.with_null(text.field) if drops else document.without_vector(text.field)
    return source


def line_of(source: str) -> bytes:
    """Return a source as a line of a bulk."""
    return source.rstrip("\r\n").encode() + b"\n"
