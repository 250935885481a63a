"""Documents that came with a request, texts or stored vectors, scored against a query text."""

from collections.abc import Sequence

from opensearch.fields import stored_vectors
from plugin.encoding.model import Model
from plugin.encoding.on_demand_encoder import OnDemandEncoder
from plugin.encoding.query_future import await_vector
from reranker.arrays import Floats
from reranker.stored_vector import FORMAT_VERSION, HEADER, ValueType
from reranker.text import Chunking
from reranker.window_vectors import score_vectors

QUERY_TIMEOUT_S = 2.0
"""Longest wait for the query's vector: below the read timeout of the connectors."""

_NO_TEXT = ("", "null")
"""What ml-commons sends for a hit without the field; `null` if its name has a dot (seen on 2.19.1)."""

_CHARS_OF_HEADER = 28
"""Characters of base64 that hold the 20 bytes of a stored vector's header."""


def encode_query(model: Model, text: str) -> Floats:
    """Encode one query text: -> (dim,) float32.

    Raises:
        RerankFailedError: it cannot be encoded, or not in time.
    """
    return await_vector(model.query_vectors.submit(text), QUERY_TIMEOUT_S)


class DocumentScores:
    """Scores documents with a bundle's crossing layer."""

    def __init__(self, model: Model, document_vectors: OnDemandEncoder) -> None:
        self._model = model
        self._document_vectors = document_vectors

    def __call__(self, query: str, documents: Sequence[str]) -> Floats:
        """Score documents, each a text or a stored vector in base64 with or without padding.

        Returns:
            (num_documents,) float32 crossing scores, higher is better; NaN for a document that is blank or
            `null`, or a stored vector that is damaged, of another model or of another dimension.

        Raises:
            RerankFailedError: query or texts cannot be encoded now.
        """
        packed = [_decode_stored(document) for document in documents]
        texts = [
            place
            for place, (document, stored) in enumerate(zip(documents, packed, strict=True))
            if stored is None and document.strip() not in _NO_TEXT
        ]
        query_value = encode_query(self._model, query)
        scores = score_vectors(query_value, packed, self._model.crossing, self._model.model_tag)
        if texts:
            scores[texts] = self._text_scores(query_value, [documents[place] for place in texts])
        return scores

    def _text_scores(self, query: Floats, texts: Sequence[str]) -> list[float]:
        chunked = self._document_vectors(texts, Chunking())
        return [float(self._model.crossing(query, chunks).max()) for chunks in chunked]


def _decode_stored(document: str) -> bytes | None:
    """Return the bytes of a stored vector, empty if they are damaged; None for a text.

    No text of a language begins with 28 characters of the base64 alphabet that decode to our header.
    """
    beginning = stored_vectors.decode(document[:_CHARS_OF_HEADER])
    if beginning is None or len(beginning) < HEADER.size:
        return None
    version, type_code, _, _, zero, _, _ = HEADER.unpack_from(beginning)
    is_ours = version == FORMAT_VERSION and type_code in tuple(ValueType) and zero == 0
    return (stored_vectors.decode(document.rstrip("=")) or b"") if is_ours else None
