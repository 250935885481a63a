"""`/v1/rerank` and `/v2/rerank` in Cohere's shape, `/rerank` in that of text-embeddings-inference."""

import uuid
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from plugin.apis.document_scores import DocumentScores
from plugin.apis.errors import ApiError
from plugin.apis.schemas import (
    CohereRerankAnswer,
    CohereRerankRequest,
    CohereResult,
    TeiRerankRequest,
    TeiResult,
    Warned,
    parse_request,
    shorten_numbers,
)
from plugin.encoding.model import Model
from reranker.arrays import Floats

Value = TypeVar("Value")

MAX_DOCUMENTS = 1000
"""Documents of one request."""


class RerankEndpoint:
    """Answers every document of a request with a score, best first; ties keep their order.

    A blank document and an unusable stored vector get the lowest score. No first-stage order could be
    kept, so a query or documents that the model does not read are scored too, with a warning.
    """

    def __init__(self, model: Model, scores: DocumentScores) -> None:
        self._model = model
        self._scores = scores

    def answer_cohere(self, body: bytes) -> CohereRerankAnswer | Warned:
        """Answer Cohere's request: `relevance_score` is the crossing's calibrated probability, 0 to 1.

        Raises:
            ApiError: a request that is not of that shape, or too large.
            RerankFailedError: it cannot be answered now.
        """
        request = parse_request(body, CohereRerankRequest)
        check_model(self._model, request.model)
        texts = [_read_text(document, request.rank_fields) for document in request.documents]
        probabilities = self._score_probabilities(request.query, texts)
        results = [
            CohereResult(
                place,
                score,
                _describe_document(request.documents[place]) if request.return_documents else None,
            )
            for place, score in _sort_best_first(probabilities)
        ]
        meta: dict[str, Any] = {"api_version": {"version": "1"}, "model": self._model.name}
        warning = self._find_warning(request.query, texts)
        if warning is not None:
            meta["warnings"] = [warning]
        return _attach_warning(warning, CohereRerankAnswer(str(uuid.uuid4()), results[: request.top_n], meta))

    def answer_tei(self, body: bytes) -> list[TeiResult] | Warned:
        """Answer TEI's request: the probability, or with `raw_scores` the crossing score in -1 to 1.

        Raises:
            ApiError: a request that is not of that shape, or too large.
            RerankFailedError: it cannot be answered now.
        """
        request = parse_request(body, TeiRerankRequest)
        if request.raw_scores:
            crossing = self._score_crossing(request.query, request.texts)
            scores = shorten_numbers(np.nan_to_num(crossing, nan=-1.0).clip(-1.0, 1.0))
        else:
            scores = self._score_probabilities(request.query, request.texts)
        results = [
            TeiResult(place, score, request.texts[place] if request.return_text else None)
            for place, score in _sort_best_first(scores)
        ]
        return _attach_warning(self._find_warning(request.query, request.texts), results)

    def _find_warning(self, query: str, texts: Sequence[str]) -> str | None:
        """Return what to say of a query or documents in scripts that the model does not read."""
        scripts = self._model.scripts
        if scripts is None:
            return None
        if self._model.reads(query):
            num_foreign = sum(scripts.count(text).are_mostly_foreign for text in texts)
            if not num_foreign:
                return None
            what = f"{num_foreign} of {len(texts)} documents are"
        else:
            what = "the query is"
        return (
            f"{what} not in a script that {self._model.name} reads (languages:"
            f" {', '.join(scripts.languages)}): these scores say little about relevance"
        )

    def _score_crossing(self, query: str, texts: list[str]) -> Floats:
        if len(texts) > MAX_DOCUMENTS:
            raise ApiError(413, f"expected at most {MAX_DOCUMENTS} documents, found {len(texts)}")
        return self._scores(query, texts)

    def _score_probabilities(self, query: str, texts: list[str]) -> list[float]:
        crossing = self._score_crossing(query, texts)
        probabilities = self._model.crossing.probability(np.nan_to_num(crossing, nan=-1.0))
        return shorten_numbers(np.where(np.isnan(crossing), np.float32(0.0), probabilities))


def check_model(model: Model, asked: str | None) -> None:
    """Refuse a request for another model: its caller expects other scores.

    Raises:
        ApiError: 404.
    """
    if asked not in (None, model.name):
        raise ApiError(404, f"expected the model {model.name}, found {asked!r}")


def _attach_warning(warning: str | None, value: Value) -> Value | Warned:
    return value if warning is None else Warned(value, warning)


def _sort_best_first(scores: list[float]) -> list[tuple[int, float]]:
    return sorted(enumerate(scores), key=lambda each: -each[1])


def _read_text(document: str | dict[str, Any], fields: Sequence[str]) -> str:
    if isinstance(document, str):
        return document
    return "\n".join(value for field in fields if isinstance(value := document.get(field), str))


def _describe_document(document: str | dict[str, Any]) -> dict[str, Any]:
    return {"text": document} if isinstance(document, str) else document
