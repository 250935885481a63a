"""The texts of a document that need vectors, with the current vectors that are already there."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from indexer.document import text_of
from indexer.enricher import chunking_of
from opensearch.fields import stored_vectors
from opensearch.settings.table import RerankSettings
from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack
from reranker.text import Chunking, text_hash

TextKey = tuple[str, int]
"""What a text's vector is known by: the model's name and the text's hash."""

EncodedVectors = Mapping[TextKey, bytes | None]
"""Stored vectors by text; None for a text that could not be encoded."""


@dataclass(frozen=True)
class Text:
    """A text that needs one model's vector in one field.

    Attributes:
        text: the text; empty if the document has none.
        hash: its hash, which a current vector carries.
        chunking: how it is cut before it is encoded.
        model: the name of the model.
        field: the vector field.
        tag: the tag of the model's vectors; None if the model is not at hand.
        is_encodable: whether the index wants vectors and the model is at hand.
        held: a current vector that the document has already.
    """

    text: str
    hash: int
    chunking: Chunking
    model: str
    field: str
    tag: int | None
    is_encodable: bool
    held: bytes | None

    @property
    def key(self) -> TextKey:
        """What its vector is known by."""
        return self.model, self.hash

    @property
    def needs_encoding(self) -> bool:
        """Whether a vector can be made here that the document does not have."""
        return self.is_encodable and bool(self.text) and not self.held

    def is_current(self, packed: bytes | None) -> bool:
        """Return whether a stored vector is the model's for this text."""
        return _is_current(packed, self.hash, self.tag)

    def find_vector(self, vectors: EncodedVectors | None) -> bytes | None:
        """Return the text's stored vector; None if it has no text, was not encoded, or `vectors` is None."""
        return None if vectors is None or not self.text else self.held or vectors.get(self.key)

    def is_missing(self, vectors: EncodedVectors | None) -> bool:
        """Return whether the text has no vector although one can be made here."""
        return self.is_encodable and bool(self.text) and self.find_vector(vectors) is None


def find_texts(
    settings: RerankSettings,
    tags: Mapping[str, int],
    values: Mapping[str, Any],
    *holders: Mapping[str, Any] | None,
) -> tuple[Text, ...]:
    """Return a document's text once for each vector field, the field that searches use first.

    Args:
        settings: the index's.
        tags: the tags of the models at hand, by name; vectors of other models are judged by their text alone.
        values: the document.
        holders: documents whose vectors may be current; the first current one is used.
    """
    text, chunking = text_of(values, settings.source_fields), chunking_of(settings)
    hashed = text_hash(text, chunking)
    texts = []
    for model, field in settings.models.items():
        tag = tags.get(model)
        found = (read_vector(holder, field) for holder in holders if holder is not None)
        held = next((packed for packed in found if _is_current(packed, hashed, tag)), None)
        is_encodable = settings.enabled and tag is not None
        texts.append(Text(text, hashed, chunking, model, field, tag, is_encodable, held))
    return tuple(texts)


def read_vector(values: Mapping[str, Any], field: str) -> bytes | None:
    """Return the stored vector that a document carries in a field."""
    return stored_vectors.decode(stored_vectors.find_value(values, field))


def group_texts(texts: Iterable[Text]) -> dict[tuple[str, Chunking], dict[int, str]]:
    """Return texts by model and chunking, each by its hash: what one call of an encoder takes."""
    groups: dict[tuple[str, Chunking], dict[int, str]] = defaultdict(dict)
    for text in texts:
        groups[text.model, text.chunking][text.hash] = text.text
    return groups


def _is_current(packed: bytes | None, hashed: int, tag: int | None) -> bool:
    if packed is None:
        return False
    try:
        vector = unpack(packed)
    except StoredVectorError:
        return False
    return vector.text_hash == hashed and tag in (None, vector.model_tag)
