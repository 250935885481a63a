"""One write on its way: the client's operation, what is known of its document, and what is sent for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from indexer.writes.plan import OutgoingWrite, RecheckPolicy, VectorInsertion, WritePlan
from indexer.writes.texts import EncodedVectors, Text, find_texts
from opensearch.settings.table import RerankSettings
from opensearch.writes.documents import DocumentKey, StoredDocument
from opensearch.writes.operation import Operation
from opensearch.writes.target import WriteTarget
from opensearch.writes.update import UpdateBody


@dataclass(eq=False)
class PendingWrite:
    """One operation on an index with settings, from its arrival until OpenSearch has answered it.

    Attributes:
        operation: the client's.
        target: the index that it goes to.
        tags: the tags of the models at hand, by name.
        body: an update's body; None for other actions, and for a body that cannot be read.
        is_repeated: whether an earlier operation of the same request goes to the same document.
        may_lock: whether a conflict with the proxy's lock is noticed and the operation is tried again.
        position: its place in OpenSearch's response, counted from 0.
        stored: the document as it is stored; None if that is unknown.
        plan: what is sent; until it is made, the client's own bytes, and the document is rechecked.
        outgoing: what is sent, as the last `build` left it.
    """

    operation: Operation
    target: WriteTarget
    tags: Mapping[str, int]
    body: UpdateBody | None = None
    is_repeated: bool = False
    may_lock: bool = True
    position: int = 0
    stored: StoredDocument | None = None
    plan: WritePlan = field(init=False)
    outgoing: OutgoingWrite = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the client's own bytes."""
        self.plan = self.outgoing = self.as_it_came()

    @property
    def settings(self) -> RerankSettings:
        """The index's settings."""
        return self.target.settings

    @cached_property
    def key(self) -> DocumentKey:
        """What identifies its document, as far as the client says."""
        return DocumentKey(
            self.target.index, self.operation.id or "", self.target.find_routing(self.operation)
        )

    @property
    def runs_pipeline(self) -> bool:
        """Whether an ingest pipeline may change the document."""
        return self.target.runs_pipeline(self.operation)

    @property
    def known(self) -> StoredDocument | None:
        """The document that the operation meets; None if unknown, or if an earlier operation changes it."""
        return None if self.is_repeated else self.stored

    @property
    def texts(self) -> tuple[Text, ...]:
        """The texts whose vectors go into the write."""
        return self.plan.texts if isinstance(self.plan, VectorInsertion) else ()

    def find_texts(self, values: Mapping[str, Any], *holders: Mapping[str, Any] | None) -> tuple[Text, ...]:
        """Return the texts of a document: see `indexer.writes.texts.find_texts`."""
        return find_texts(self.settings, self.tags, values, *holders)

    def as_it_came(self, recheck: RecheckPolicy = RecheckPolicy.ALWAYS) -> OutgoingWrite:
        """Return a plan that sends the client's own bytes."""
        return OutgoingWrite(self.operation.source, None, recheck)

    def build(self, vectors: EncodedVectors | None) -> None:
        """Make the outgoing write; `vectors` as in `VectorInsertion.build`.

        Raises:
            DocumentError: something that is no object is in the place of a vector field's parent.
        """
        plan = self.plan
        self.outgoing = plan.build(vectors) if isinstance(plan, VectorInsertion) else plan

    def encode(self, retries: int = 0) -> tuple[bytes, bytes]:
        """Return the outgoing write as an action line and a source line of a bulk.

        Args:
            retries: how often OpenSearch merges an update without a lock again, unless the client says.
        """
        return self._build_line(retries), self.outgoing.source or b""

    def _build_line(self, retries: int) -> bytes:
        if self.outgoing.lock is not None:
            return self.operation.build_locked_line(self.outgoing.lock)
        return self.operation.build_retried_line(retries) if retries else self.operation.line

    def has_lost_lock(self, status: int) -> bool:
        """Return whether the proxy's lock, not the client's request, made the operation fail.

        OpenSearch answers 404 to an update whose document is gone; without the lock it had upserted.
        """
        if self.outgoing.lock is None:
            return False
        return status == 409 or (status == 404 and b"upsert" in (self.operation.source or b""))

    def drop_plan(self) -> None:
        """Release what only the plan needed: many writes of a long bulk wait for its response."""
        self.plan, self.body, self.stored = self.outgoing, None, None
