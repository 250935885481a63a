"""What is sent for one write so that its document's vectors are current or absent, as data.

A plan is made before anything is encoded. It is an `OutgoingWrite` if no vector goes in, else a
`VectorInsertion`. That names the texts to encode, and builds the outgoing write once they are encoded. The
rules are those of docs/how-to/ingest.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from indexer.document import Document
from indexer.writes.texts import EncodedVectors, Text
from opensearch.fields import stored_vectors
from opensearch.writes.operation import Lock
from opensearch.writes.update import UpdateBody


class RecheckPolicy(Enum):
    """When a document must be read back after its write and given the vector that fits."""

    NEVER = "never"
    IF_CREATED = "if_created"
    UNLESS_CREATED = "unless_created"
    ALWAYS = "always"

    def applies_to(self, result: str) -> bool:
        """Return whether a write with that `result` must be rechecked; a deleted document need not."""
        if result == "deleted":
            return False
        if self in (RecheckPolicy.IF_CREATED, RecheckPolicy.UNLESS_CREATED):
            return result != "noop" and (result == "created") == (self is RecheckPolicy.IF_CREATED)
        return self is RecheckPolicy.ALWAYS


@dataclass(frozen=True)
class OutgoingWrite:
    """What is sent in an operation's place: its source, and the lock that the proxy adds, if any."""

    source: bytes | None
    lock: Lock | None = None
    recheck: RecheckPolicy = RecheckPolicy.NEVER


@dataclass(frozen=True)
class UnchangedSource:
    """What is sent if the merged document has the right vectors already, so that a `noop` stays one.

    Attributes:
        source: the client's own bytes, as far as OpenSearch takes them under a lock.
        vectors: the stored vectors of the merged document, by field.
    """

    source: bytes | None
    vectors: Mapping[str, bytes | None]


@dataclass(frozen=True)
class VectorInsertion:
    """A write into which vectors are put.

    Attributes:
        content: the JSON object that gets the vectors.
        texts: the texts whose vectors it gets, one for each vector field.
        body: the body of the update that `content` is a part of; None if `content` is the whole document.
        part: the name of that part, `doc` or `upsert`.
        lock: the lock that the proxy adds.
        recheck: when the document is read back if no vector is missing.
        recheck_if_missing: when it is read back if a vector is missing that can be made here.
        unchanged: what is sent instead if the document has these vectors already.
    """

    content: str
    texts: tuple[Text, ...]
    body: UpdateBody | None = None
    part: str = ""
    lock: Lock | None = None
    recheck: RecheckPolicy = RecheckPolicy.NEVER
    recheck_if_missing: RecheckPolicy = RecheckPolicy.ALWAYS
    unchanged: UnchangedSource | None = None

    def build(self, vectors: EncodedVectors | None) -> OutgoingWrite:
        """Put in the vectors; None: the write may carry none, since its body must not grow.

        Raises:
            DocumentError: something that is no object is in the place of a vector field's parent.
        """
        is_missing = any(text.is_missing(vectors) for text in self.texts)
        recheck = self.recheck_if_missing if is_missing else self.recheck
        unchanged = self.unchanged
        if unchanged is not None and recheck is RecheckPolicy.NEVER:
            fits = all(text.find_vector(vectors) == unchanged.vectors[text.field] for text in self.texts)
            if fits:
                return OutgoingWrite(unchanged.source, self.lock)
        source = insert_vectors(self.content, self.texts, vectors, drops=self.part == "doc")
        if self.body is not None:
            source = self.body.with_part(self.part, source).text
        return OutgoingWrite(encode_line(source), self.lock, recheck)


WritePlan = OutgoingWrite | VectorInsertion
"""What is sent, known already or once vectors are put in."""


def insert_vectors(
    source: str, texts: Sequence[Text], vectors: EncodedVectors | None, *, drops: bool = False
) -> str:
    """Return a source with the vectors of its texts, the first one last, so that searches find it quickest.

    If a vector is missing, a partial document `drops` the stored one by `null`; a whole document has none.

    Raises:
        DocumentError: something that is no object is in the place of a vector field's parent.
    """
    for text in reversed(texts):
        document, packed = Document(source), text.find_vector(vectors)
        if packed is not None:
            source = document.with_vector(text.field, stored_vectors.encode(packed))
        else:
            source = document.with_null(text.field) if drops else document.without_vector(text.field)
    return source


def encode_line(source: str) -> bytes:
    """Return a source as a line of a bulk."""
    return source.rstrip("\r\n").encode() + b"\n"
