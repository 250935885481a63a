"""The JSON of the APIs beside search: Cohere's and TEI's rerank, OpenAI's embeddings, Twinrank's rescore.

Only members that are used are declared; others are ignored, as in those APIs.
"""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from opensearch.rawjson.prepared import prepared
from opensearch.rawjson.validation import describe_types
from plugin.apis.errors import ApiError
from reranker.arrays import Floats

Shape = TypeVar("Shape", bound=msgspec.Struct)
Count = Annotated[int, Meta(ge=1)]


@prepared
class CohereRerankRequest(msgspec.Struct):
    """Cohere's rerank, v1 and v2. A document: a text, a stored vector in base64, or an object with texts."""

    query: str
    documents: list[str | dict[str, Any]]
    model: str | None = None
    top_n: Count | None = None
    return_documents: bool = False
    rank_fields: tuple[str, ...] = ("text",)


class CohereResult(msgspec.Struct, omit_defaults=True):
    """One document's score, 0 to 1, and its place in the request."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class CohereRerankAnswer(msgspec.Struct):
    """Results, best first."""

    id: str
    results: list[CohereResult]
    meta: dict[str, Any]


@prepared
class TeiRerankRequest(msgspec.Struct):
    """The rerank of Hugging Face's text-embeddings-inference."""

    query: str
    texts: list[str]
    raw_scores: bool = False
    return_text: bool = False


class TeiResult(msgspec.Struct, omit_defaults=True):
    """One text's score and its place in the request; the answer is a list of these, best first."""

    index: int
    score: float
    text: str | None = None


class Chunk(msgspec.Struct, frozen=True):
    """How texts are cut for `stored` vectors: an index's `chunk` settings."""

    max_tokens: Annotated[int, Meta(ge=16, le=512)] = 256
    overlap: Annotated[int, Meta(ge=0, le=128)] = 32
    max_chunks: Annotated[int, Meta(ge=1, le=64)] = 4


@prepared
class EmbeddingsRequest(msgspec.Struct):
    """OpenAI's embeddings, with `input_type` (query or document), and `stored` as a third encoding."""

    input: str | list[str]
    model: str | None = None
    encoding_format: str = "float"
    dimensions: Count | None = None
    input_type: str | None = None
    chunk: Chunk = Chunk()


class Embedding(msgspec.Struct):
    """One text's vector: numbers, or base64."""

    index: int
    embedding: list[float] | str
    object: str = "embedding"


class EmbeddingsAnswer(msgspec.Struct):
    """Vectors in the order of the texts, and the tokens that were read."""

    model: str
    data: list[Embedding]
    usage: dict[str, int]
    object: str = "list"


@prepared
class RescoreRequest(msgspec.Struct):
    """A query text, and the parts of the clause that differ from the default."""

    input: str
    model: str | None = None
    field: Annotated[str, Meta(min_length=1)] = "rerank.vector"
    window_size: Annotated[float, Meta(ge=1, le=10_000)] = 100
    weight: Annotated[float, Meta(ge=0, le=40)] | None = None
    languages: Literal["model", "any"] = "model"


class RescoreAnswer(msgspec.Struct, omit_defaults=True):
    """The value for a search's `rescore`; `reason` says why it changes nothing, if so."""

    rescore: dict[str, Any]
    reason: str | None = None


@dataclass(frozen=True)
class Warned:
    """An answer with a warning for its header."""

    value: Any
    warning: str


def shorten_numbers(values: Floats) -> list[float]:
    """Return (n,) float32 values as numbers of at most 9 digits, enough to distinguish any two float32.

    ml-commons' JSON reader turns a longer number into a BigDecimal and then fails on it (seen on 2.19.1).
    """
    return [float(f"{value:.9g}") for value in values]


def parse_request(body: bytes, shape: type[Shape]) -> Shape:
    """Read a request's body.

    Raises:
        ApiError: 400, no JSON; 422, JSON of another shape.
    """
    try:
        try:
            return msgspec.json.decode(body, type=shape)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # a lone surrogate, for example, is JSON to other parsers
            return msgspec.convert(json.loads(body), shape)
    except msgspec.ValidationError as error:
        found = describe_types(str(error))
        raise ApiError(422, f"expected the members that the documentation names, found: {found}") from error
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"expected a JSON object, found: {error}") from error
