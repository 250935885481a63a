"""`/v1/embeddings` in OpenAI's shape, for queries and for documents."""

import base64

from opensearch.fields import stored_vectors
from plugin.apis.document_scores import encode_query
from plugin.apis.errors import ApiError
from plugin.apis.schemas import Embedding, EmbeddingsAnswer, EmbeddingsRequest, parse_request, shorten_numbers
from plugin.encoding.model import Model
from plugin.encoding.on_demand_encoder import OnDemandEncoder
from reranker.arrays import Floats
from reranker.errors import StoredVectorError
from reranker.stored_vector import pack
from reranker.text import Chunking, text_hash

MAX_INPUTS = 1000
"""Texts of one request."""

WHOLE = Chunking(max_tokens=512, overlap=0, max_chunks=1)
"""One vector for each text, as in OpenAI's shape: of the text's beginning, as far as the encoder reads."""

ENCODINGS = ("float", "base64", "stored")

_QUERY_TYPES = ("query", "search_query")
_DOCUMENT_TYPES = ("document", "search_document", "passage")


class EmbeddingsEndpoint:
    """Encodes texts as `input_type` says, else the ending of the model's name; else as documents."""

    def __init__(self, model: Model, document_vectors: OnDemandEncoder) -> None:
        self._model = model
        self._document_vectors = document_vectors

    def __call__(self, body: bytes) -> EmbeddingsAnswer:
        """Answer one request.

        `encoding_format` is `float`, `base64` (little-endian float32), or Twinrank's own `stored`. That is a
        document's stored vector with all its chunks, hash and tag, in base64, as the `binary` field takes it.

        Raises:
            ApiError: the request has another shape, is too large, or asks for something unknown.
            RerankFailedError: it cannot be answered now.
        """
        request = parse_request(body, EmbeddingsRequest)
        texts = [request.input] if isinstance(request.input, str) else request.input
        is_query = self._is_query(request)
        self._check(request, texts, is_query=is_query)
        if request.encoding_format == "stored":
            embeddings, num_tokens = self._encode_stored(texts, request)
        else:
            rows, num_tokens = self._encode_queries(texts) if is_query else self._encode_documents(texts)
            embeddings = [_format_vector(request.encoding_format, row) for row in rows]
        data = [Embedding(place, each) for place, each in enumerate(embeddings)]
        usage = {"prompt_tokens": num_tokens, "total_tokens": num_tokens}
        return EmbeddingsAnswer(request.model or self._model.name, data, usage)

    def _is_query(self, request: EmbeddingsRequest) -> bool:
        name, model = self._model.name, request.model
        if model not in (None, name, f"{name}-query", f"{name}-document"):
            raise ApiError(
                404, f"expected the model {name}, {name}-query or {name}-document, found {model!r}"
            )
        if request.input_type is not None:
            if request.input_type not in (*_QUERY_TYPES, *_DOCUMENT_TYPES):
                known = ", ".join((*_QUERY_TYPES, *_DOCUMENT_TYPES))
                raise ApiError(422, f"input_type: expected one of {known}, found {request.input_type!r}")
            return request.input_type in _QUERY_TYPES
        return model == f"{name}-query"

    def _check(self, request: EmbeddingsRequest, texts: list[str], *, is_query: bool) -> None:
        dim = self._model.dim
        if len(texts) > MAX_INPUTS:
            raise ApiError(413, f"input: expected at most {MAX_INPUTS} texts, found {len(texts)}")
        if request.encoding_format not in ENCODINGS:
            known = ", ".join(ENCODINGS)
            raise ApiError(
                422, f"encoding_format: expected one of {known}, found {request.encoding_format!r}"
            )
        if request.encoding_format == "stored" and is_query:
            raise ApiError(422, "encoding_format: expected float or base64 for a query, found 'stored'")
        if request.dimensions not in (None, dim):
            raise ApiError(422, f"dimensions: expected {dim}, found {request.dimensions}")

    def _encode_queries(self, texts: list[str]) -> tuple[list[Floats], int]:
        rows = [encode_query(self._model, text) for text in texts]
        return rows, sum(self._model.num_query_tokens(text) for text in texts)

    def _encode_documents(self, texts: list[str]) -> tuple[list[Floats], int]:
        rows = [chunks[0] for chunks in self._document_vectors(texts, WHOLE)]
        return rows, self._document_vectors.num_tokens(texts, WHOLE)

    def _encode_stored(
        self, texts: list[str], request: EmbeddingsRequest
    ) -> tuple[list[list[float] | str], int]:
        chunk = request.chunk
        chunking = Chunking(chunk.max_tokens, chunk.overlap, chunk.max_chunks)
        chunked = self._document_vectors(texts, chunking)
        packed: list[list[float] | str] = [
            self._pack(chunks, text, chunking) for chunks, text in zip(chunked, texts, strict=True)
        ]
        return packed, self._document_vectors.num_tokens(texts, chunking)

    def _pack(self, chunks: Floats, text: str, chunking: Chunking) -> str:
        try:
            packed = pack(chunks, text_hash=text_hash(text, chunking), model_tag=self._model.model_tag)
        except StoredVectorError as error:
            raise ApiError(500, str(error)) from error
        return stored_vectors.encode(packed)


def _format_vector(encoding: str, row: Floats) -> list[float] | str:
    if encoding == "base64":
        return base64.b64encode(row.astype("<f4").tobytes()).decode("ascii")
    return shorten_numbers(row)
