"""Policies for one vector field of a document: fill it, keep what is current, or clear it.

A document may have several such fields while its index changes from one model to another. They are handled
one after another, the main field first.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from indexer.document import Document, text_of
from indexer.enricher import Enriched, Outcome, chunking_of, hash_of
from opensearch.fields import stored_vectors
from opensearch.settings.table import RerankSettings
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack
from reranker.text import text_hash


class FieldPolicy(Protocol):
    """What is done with one field: `indexer.enricher.Enricher` fills it, others are in this module.

    `name` is kept with sync's checkpoints: a new name makes sync go over all documents again.
    """

    @property
    def field(self) -> str:
        """The field, a dotted path."""

    @property
    def name(self) -> str:
        """The name of the policy."""

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Whether a source with these values certainly needs no change; False if that is not known."""

    def check(self, document: Document) -> None:
        """Check that the document can hold the field.

        Raises:
            DocumentError: something that is no object is in the place of the field's parent.
        """

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents as they must be, in order; the outcome is REUSED if nothing changes."""


class KeepCurrent:
    """For a field whose model is not at hand: keeps a vector of the document's text, and drops any other.

    So no document is written with a vector of a former text; a sync with the model fills the gap.
    """

    def __init__(self, settings: RerankSettings) -> None:
        self._settings = settings
        self.field = settings.field
        self.name = "guard"

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Whether the source has a vector of its own text."""
        text = text_of(values, self._settings.source_fields)
        return bool(text) and self._hash_in(values) == text_hash(text, chunking_of(self._settings))

    def check(self, document: Document) -> None:
        """Check that the document can hold the field.

        Raises:
            DocumentError: something that is no object is in the place of the field's parent.
        """
        document.without_vector(self.field)

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents, without a vector of another text."""
        return [self._keep_current(document) for document in documents]

    def _keep_current(self, document: Document) -> Enriched:
        if document.text(self._settings.source_fields) and self._fits(document):
            return Enriched(document.source.encode(), Outcome.REUSED)
        return Enriched(document.without_vector(self.field).encode(), Outcome.NO_TEXT)

    def _fits(self, document: Document) -> bool:
        return self._hash_in(document.values) == hash_of(document, self._settings)

    def _hash_in(self, values: Mapping[str, Any]) -> int | None:
        """Return the hash in the stored vector of a source; None if there is no valid one."""
        packed = stored_vectors.decode(stored_vectors.find_value(values, self.field))
        try:
            return unpack(packed or b"").text_hash
        except StoredVectorError:
            return None


class Clear:
    """For a field that is no longer used: removes every value."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.name = "empty"

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Return False, since whether the field is absent takes a closer look."""
        return False

    def check(self, document: Document) -> None:
        """Check that the field can be removed.

        Raises:
            DocumentError: something that is no object is in the place of the field's parent.
        """
        document.without_vector(self.field)

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents without the field."""
        return [
            Enriched(document.without_vector(self.field).encode(), Outcome.NO_TEXT) for document in documents
        ]


class CombinedPolicy:
    """Several policies in the place of one: the outcome is that of the first, which alone gets `stored`."""

    def __init__(self, first: FieldPolicy, *more: FieldPolicy) -> None:
        self._first, self._more = first, more
        self.field = first.field
        self.name = "+".join(policy.name for policy in (first, *more))

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Whether the source certainly needs no change in any of the fields."""
        return all(policy.is_current(values) for policy in (self._first, *self._more))

    def check(self, document: Document) -> None:
        """Check that the document can hold every field.

        Raises:
            DocumentError: something that is no object is in the place of the field's parent.
        """
        for policy in (self._first, *self._more):
            policy.check(document)

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents as all fields must be, in order."""
        enriched = self._first(documents, stored)
        for policy in self._more:
            seen = policy([Document(one.source.decode()) for one in enriched], {})
            enriched = [Enriched(new.source, one.outcome) for new, one in zip(seen, enriched, strict=True)]
        return enriched
