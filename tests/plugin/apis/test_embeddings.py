"""`/v1/embeddings`: both towers, three encodings, and what is refused."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from indexer.document import Document
from indexer.enricher import Enricher
from opensearch.fields.stored_vectors import decode, find_value
from opensearch.settings.table import ChunkSettings, RerankSettings
from reranker.text import Chunking
from tests.support.api_client import HOSTILE_TEXTS, ApiClient, bundle
from tests.support.indices.toy_index import known_words

WORDS = known_words(bundle().path)
TEXTS = [" ".join(WORDS[:4]), " ".join(WORDS[4:14]), ""]
NAME = bundle().name
API = ApiClient()


def vectors(body: dict[str, Any]) -> np.ndarray:
    answer = API.answer("/v1/embeddings", body)
    assert answer["object"] == "list"
    assert [each["index"] for each in answer["data"]] == list(range(len(answer["data"])))
    assert all(each["object"] == "embedding" for each in answer["data"])
    return np.array([each["embedding"] for each in answer["data"]], np.float32)


QUERIES = np.stack([bundle().load_query_encoder()(text) for text in TEXTS])
DOCUMENTS = np.concatenate(bundle().load_document_encoder(threads=1)(TEXTS, Chunking(512, 0, 1)))


@pytest.mark.parametrize(("more", "expected"), [
    ({}, DOCUMENTS),
    ({"model": NAME}, DOCUMENTS),
    ({"model": f"{NAME}-document"}, DOCUMENTS),
    ({"model": f"{NAME}-query"}, QUERIES),
    ({"input_type": "search_query"}, QUERIES),
    ({"input_type": "query"}, QUERIES),
    ({"model": f"{NAME}-query", "input_type": "passage"}, DOCUMENTS),
], ids=str)  # fmt: skip
def test_the_tower_is_the_one_that_is_named(more: dict[str, Any], expected: np.ndarray) -> None:
    np.testing.assert_allclose(vectors({"input": TEXTS, **more}), expected, atol=1e-5)
    np.testing.assert_allclose(vectors({"input": TEXTS[1], **more}), expected[1:2], atol=1e-5)


def test_the_towers_differ() -> None:
    """Else the test above could not fail."""
    assert np.abs(QUERIES - DOCUMENTS).max() > 1e-3


def test_base64_is_little_endian_float32() -> None:
    answer = API.answer("/v1/embeddings", {"input": TEXTS, "encoding_format": "base64"})
    rows = [np.frombuffer(base64.b64decode(each["embedding"]), "<f4") for each in answer["data"]]
    np.testing.assert_allclose(np.stack(rows), DOCUMENTS, atol=1e-5)


def test_usage_counts_tokens() -> None:
    one = API.answer("/v1/embeddings", {"input": WORDS[0]})["usage"]
    both = API.answer("/v1/embeddings", {"input": [WORDS[0], WORDS[1]], "input_type": "query"})["usage"]
    assert one == {"prompt_tokens": 3, "total_tokens": 3}, "one word and two special tokens"
    assert both == {"prompt_tokens": 6, "total_tokens": 6}


@pytest.mark.parametrize("chunk", [{}, {"max_tokens": 16, "overlap": 4, "max_chunks": 3}], ids=str)
def test_stored_is_what_indexing_stores(chunk: dict[str, int]) -> None:
    text = " ".join(WORDS * 4)
    settings = RerankSettings(NAME, ("text",), chunk=ChunkSettings(**chunk))
    enricher = Enricher(bundle().load_document_encoder(threads=1), bundle().model_tag, settings)
    source = enricher([Document(json.dumps({"text": text}))], {})[0].source
    packed = decode(find_value(json.loads(source), settings.field))
    body = {"input": text, "encoding_format": "stored", "chunk": chunk}
    answer = API.answer("/v1/embeddings", body)["data"][0]["embedding"]
    assert len(answer) % 4 == 0
    assert decode(answer) == packed


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=lambda text: ascii(text)[:20])
def test_any_text_is_encoded(text: str) -> None:
    for kind in ("query", "document"):
        assert np.isfinite(vectors({"input": [text, text], "input_type": kind})).all()


@pytest.mark.parametrize(("body", "status", "says"), [
    ({}, 422, "`input`"),
    ({"input": [1, 2]}, 422, "$.input[0]"),
    ({"input": "a", "model": "other"}, 404, f"expected the model {NAME}, {NAME}-query or {NAME}-document"),
    ({"input": "a", "input_type": "image"}, 422, "input_type: expected one of query"),
    ({"input": "a", "encoding_format": "int8"}, 422, "expected one of float, base64, stored"),
    ({"input": "a", "encoding_format": "stored", "input_type": "query"}, 422, "expected float or base64"),
    ({"input": "a", "dimensions": 3}, 422, "dimensions: expected"),
    ({"input": ["a"] * 1001}, 413, "at most 1000 texts, found 1001"),
    ({"input": "a", "chunk": {"max_tokens": 2}}, 422, "$.chunk.max_tokens"),
], ids=range(9))  # fmt: skip
def test_a_wrong_request_is_refused_in_openais_shape(body: Any, status: int, says: str) -> None:  # noqa: ANN401
    answer = API.post("/v1/embeddings", body)
    error = json.loads(answer.data)["error"]
    assert answer.status_code == status
    assert set(error) == {"message", "type", "param", "code"}
    assert says in error["message"]
