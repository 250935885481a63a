"""Documents in, documents with vectors out: encodes only what has no current vector."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from indexer.document import Document, text_of
from opensearch.fields import stored_vectors
from opensearch.settings.table import RerankSettings
from reranker.arrays import Floats
from reranker.errors import StoredVectorError
from reranker.stored_vector import pack, unpack
from reranker.text import Chunking, text_hash

Encode = Callable[[Sequence[str], Chunking], Sequence[Floats]]
"""Texts to (num_chunks, dim) float32 unit vectors, one array a text: `reranker.encoder.DocumentEncoder`."""


class Outcome(Enum):
    """Where a document's vector came from, or why it has none."""

    ENCODED = "encoded"
    REUSED = "reused"
    NO_TEXT = "without_text"
    NOT_ENCODABLE = "not_encodable"


@dataclass(frozen=True)
class Enriched:
    """A document's source, UTF-8, with its current vector or with none."""

    source: bytes
    outcome: Outcome


def chunking_of(settings: RerankSettings) -> Chunking:
    """Return how an index cuts its texts."""
    chunk = settings.chunk
    return Chunking(chunk.max_tokens, chunk.overlap, chunk.max_chunks)


def hash_of(document: Document, settings: RerankSettings) -> int:
    """Return the hash that a current vector of this document carries."""
    return text_hash(document.text(settings.source_fields), chunking_of(settings))


class Enricher:
    """Gives documents their vectors, by the settings of one index and one model.

    Args:
        encode: the document tower.
        model_tag: the tag that marks its vectors.
        settings: which fields are encoded, how they are cut, and where the vector is put.
    """

    def __init__(self, encode: Encode, model_tag: int, settings: RerankSettings) -> None:
        self._encode = encode
        self._model_tag = model_tag
        self._settings = settings
        self.field = settings.field
        self._chunking = chunking_of(settings)

    @property
    def name(self) -> str:
        """The tag that marks its vectors, in hexadecimal."""
        return f"{self._model_tag:08x}"

    def __call__(self, documents: Sequence[Document], stored: Mapping[str, bytes]) -> list[Enriched]:
        """Return the documents with vectors, in order; each text is encoded once.

        Args:
            documents: as their users wrote them; a current vector in one is kept.
            stored: packed vectors that OpenSearch holds already, by document id.

        Raises:
            DocumentError: a document holds something else where the vector belongs (`check` finds it before).
        """
        texts = [document.text(self._settings.source_fields) for document in documents]
        hashes = [text_hash(text, self._chunking) for text in texts]
        known = [
            self._find_current(document, stored, hashed) if text else None
            for document, text, hashed in zip(documents, texts, hashes, strict=True)
        ]
        missing = {
            hashed: text
            for text, hashed, packed in zip(texts, hashes, known, strict=True)
            if text and packed is None
        }
        fresh = self._encode_missing(missing)
        return [
            self._enrich(document, bool(text), packed, fresh.get(hashed))
            for document, text, hashed, packed in zip(documents, texts, hashes, known, strict=True)
        ]

    def check(self, document: Document) -> None:
        """Check that the document can hold a vector.

        Raises:
            DocumentError: something that is no object is in the place of a vector field's parent.
        """
        document.without_vector(self.field)

    def is_current(self, values: Mapping[str, Any]) -> bool:
        """Return whether a source with these values has this model's vector of its text."""
        text = text_of(values, self._settings.source_fields)
        packed = stored_vectors.decode(stored_vectors.find_value(values, self.field)) if text else None
        return packed is not None and self._is_vector_of(packed, text_hash(text, self._chunking))

    def _is_vector_of(self, packed: bytes, hashed: int) -> bool:
        """Return whether a stored vector is this model's for the text with that hash."""
        try:
            vector = unpack(packed)
        except StoredVectorError:
            return False
        return vector.text_hash == hashed and vector.model_tag == self._model_tag

    def _find_current(self, document: Document, stored: Mapping[str, bytes], hashed: int) -> bytes | None:
        own = stored_vectors.decode(stored_vectors.find_value(document.values, self.field))
        held = None if document.id is None else stored.get(document.id)
        for packed in (held, own):
            if packed is not None and self._is_vector_of(packed, hashed):
                return packed
        return None

    def _encode_missing(self, texts: Mapping[int, str]) -> dict[int, bytes | None]:
        """Encode texts by hash: -> packed vectors, None if the encoder gave no finite one."""
        arrays = self._encode(list(texts.values()), self._chunking) if texts else []
        return {hashed: self._pack(values, hashed) for hashed, values in zip(texts, arrays, strict=True)}

    def _pack(self, values: Floats, hashed: int) -> bytes | None:
        try:
            return pack(values, text_hash=hashed, model_tag=self._model_tag)
        except StoredVectorError:
            return None

    def _enrich(
        self, document: Document, has_text: bool, known: bytes | None, fresh: bytes | None
    ) -> Enriched:
        packed = known or fresh
        if packed is None:
            outcome = Outcome.NOT_ENCODABLE if has_text else Outcome.NO_TEXT
            return Enriched(document.without_vector(self.field).encode(), outcome)
        outcome = Outcome.REUSED if known else Outcome.ENCODED
        return Enriched(document.with_vector(self.field, stored_vectors.encode(packed)).encode(), outcome)
