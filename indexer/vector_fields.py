"""What sees to one vector field of a document: it is filled, guarded or emptied.

A document may have several such fields, while its index changes from one model to another: they are handled
one after another, the main one first.
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


class Fill(Protocol):
    """Sees to one field: `indexer.enricher.Enricher`, and the others here.

    `name` changes where documents that it has seen must be seen anew.
    """

    @property
    def field(self) -> str:
        """The field, a dotted path."""

    @property
    def name(self) -> str:
        """What it does."""

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Whether a source with these values surely needs nothing; False where that takes a closer look."""

    def check(self, document: Document) -> None:
        """Check that the document has room for the field.

        Raises:
            DocumentError: something else stands there.
        """

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents as they must be, in order, with an outcome of REUSED where nothing changes."""


class Guard:
    """For a field whose model is not at hand: keeps a vector of the text that stands there, and no other.

    So no document is written with a vector of a former text; whoever has the model fills the gap.
    """

    def __init__(self, settings: RerankSettings) -> None:
        self._settings = settings
        self.field = settings.field
        self.name = "guard"

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Whether the source has a vector of the text that stands there."""
        text = text_of(values, self._settings.source_fields)
        return bool(text) and self._hash_in(values) == text_hash(text, chunking_of(self._settings))

    def check(self, document: Document) -> None:
        """Check that the document has room for the field.

        Raises:
            DocumentError: something else stands there.
        """
        document.without_vector(self.field)

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents, without a vector of another text."""
        return [self._guarded(document) for document in documents]

    def _guarded(self, document: Document) -> Enriched:
        if document.text(self._settings.source_fields) and self._fits(document):
            return Enriched(document.source.encode(), Outcome.REUSED)
        return Enriched(document.without_vector(self.field).encode(), Outcome.NO_TEXT)

    def _fits(self, document: Document) -> bool:
        return self._hash_in(document.values) == hash_of(document, self._settings)

    def _hash_in(self, values: Mapping[str, Any]) -> int | None:
        """Return the hash in the whole stored vector of a source, None where there is none."""
        packed = stored_vectors.decode(stored_vectors.find_value(values, self.field))
        try:
            return unpack(packed or b"").text_hash
        except StoredVectorError:
            return None


class Emptied:
    """For a field that is given up: takes every value away."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.name = "empty"

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """No: whether nothing at all stands there takes a closer look."""
        return False

    def check(self, document: Document) -> None:
        """Check that the field can be taken away.

        Raises:
            DocumentError: something else stands there.
        """
        document.without_vector(self.field)

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents without the field."""
        return [
            Enriched(document.without_vector(self.field).encode(), Outcome.NO_TEXT) for document in documents
        ]


class Fills:
    """Several in the place of one: the outcome is the first one's, stored vectors are known for it alone."""

    def __init__(self, first: Fill, *more: Fill) -> None:
        self._first, self._more = first, more
        self.field = first.field
        self.name = "+".join(fill.name for fill in (first, *more))

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Whether the source surely needs nothing in any of the fields."""
        return all(fill.is_current(values) for fill in (self._first, *self._more))

    def check(self, document: Document) -> None:
        """Check that the document has room for every field.

        Raises:
            DocumentError: something else stands there.
        """
        for fill in (self._first, *self._more):
            fill.check(document)

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents as all fields must be, in order."""
        enriched = self._first(documents, stored)
        for fill in self._more:
            seen = fill([Document(one.source.decode()) for one in enriched], {})
            enriched = [Enriched(new.source, one.outcome) for new, one in zip(seen, enriched, strict=True)]
        return enriched
