"""`/v1/rerank` and `/rerank`: shapes, scores, stored vectors, and documents that cannot be used."""

import base64
import json
import random
import re
from typing import Any

import numpy as np
import pytest

from reranker.stored_vector import ValueType, pack
from reranker.text import Chunking
from tests.support.api_client import HOSTILE_TEXTS, ApiClient, bundle, model
from tests.support.indices.toy_index import known_words

WORDS = known_words(bundle().path)
QUERY = " ".join(WORDS[:3])
RANDOM = random.Random(3)
TEXTS = [" ".join(RANDOM.choices(WORDS, k=6)) for _ in range(10)]
API = ApiClient()


def stored(text: str, *, tag: int | None = None, kind: ValueType = ValueType.INT8) -> str:
    chunks = bundle().load_document_encoder(threads=1)([text], Chunking())[0]
    packed = pack(chunks, text_hash=1, model_tag=bundle().model_tag if tag is None else tag, value_type=kind)
    return base64.b64encode(packed).decode()


VECTORS = [stored(text) for text in TEXTS]


def cohere(documents: list[Any], query: str = QUERY, path: str = "/v1/rerank", **more: Any) -> list[Any]:  # noqa: ANN401
    answer = API.answer(path, {"query": query, "documents": documents, **more})
    assert set(answer) == {"id", "results", "meta"}
    results: list[Any] = answer["results"]
    assert all(type(each["relevance_score"]) is float for each in results)
    return results


def scores(documents: list[Any], query: str = QUERY) -> list[float]:
    by_place = sorted(cohere(documents, query), key=lambda each: each["index"])
    assert [each["index"] for each in by_place] == list(range(len(documents)))
    return [each["relevance_score"] for each in by_place]


def expected(texts: list[str]) -> np.ndarray:
    query = bundle().load_query_encoder()(QUERY)
    chunked = bundle().load_document_encoder(threads=1)(texts, Chunking())
    best = np.array([float((chunks @ query).max()) for chunks in chunked], np.float32)
    return bundle().load_crossing().probability(best)


def test_texts_get_the_crossings_probability_best_first() -> None:
    found = cohere(TEXTS)
    assert [each["relevance_score"] for each in found] == sorted(scores(TEXTS), reverse=True)
    np.testing.assert_allclose(scores(TEXTS), expected(TEXTS), rtol=1e-5)


def test_no_number_is_too_long_for_ml_commons() -> None:
    """Its JSON reader makes a BigDecimal of more than 18 characters and fails on that."""
    answer = API.post("/v1/rerank", {"query": QUERY, "documents": [*TEXTS, ""]})
    numbers = re.findall(rb'"relevance_score":([^,}]*)', answer.data)
    assert len(numbers) == len(TEXTS) + 1
    assert all(len(number) <= 16 and (b"." in number or b"e" in number) for number in numbers), numbers


def test_a_long_text_counts_by_its_best_chunk() -> None:
    long = " ".join([*RANDOM.choices(WORDS[3:], k=500), QUERY])
    np.testing.assert_allclose(scores([long]), expected([long]), rtol=1e-5)


@pytest.mark.parametrize("kind", ValueType)
def test_stored_vectors_score_as_their_texts(kind: ValueType) -> None:
    np.testing.assert_allclose(
        scores([stored(text, kind=kind) for text in TEXTS]), expected(TEXTS), rtol=0.1, atol=2e-3
    )


def test_padding_and_kind_of_document_change_nothing() -> None:
    """A text's last bits depend on the texts beside it: a processor's kernels differ by batch."""
    unpadded = [each.rstrip("=") for each in VECTORS]
    assert scores(VECTORS) == scores(unpadded)
    mixed = scores([TEXTS[0], VECTORS[1], "", unpadded[3], {"text": TEXTS[4]}])
    alone = [scores([TEXTS[0]])[0], scores([TEXTS[4]])[0]]
    np.testing.assert_allclose(mixed[0::4], alone, rtol=1e-5)
    assert mixed[1] == scores(VECTORS)[1]
    assert mixed[3] == scores(VECTORS)[3]


@pytest.mark.parametrize("unusable", [
    "", " \n", "null", stored(TEXTS[0], tag=7), VECTORS[0][:-8], VECTORS[0][:-4] + "AAAAAAAA",
    VECTORS[0][:-3], VECTORS[0] + "!", VECTORS[0][:28], "AQEA" + VECTORS[0][4:],
    {"title": "x"}, {},
], ids=lambda each: str(each)[:20])  # fmt: skip
def test_an_unusable_document_is_answered_with_the_lowest_score(unusable: Any) -> None:  # noqa: ANN401
    found = scores([VECTORS[1], unusable, TEXTS[2]])
    assert found[1] == 0.0
    assert min(found[0], found[2]) > 0.0


def test_nothing_but_unusable_documents_keep_their_order() -> None:
    assert [each["index"] for each in cohere(["", "", ""])] == [0, 1, 2]
    assert cohere([]) == []


def test_top_n_and_documents_are_as_asked() -> None:
    found = cohere([{"title": "t", "body": TEXTS[0]}, TEXTS[1]], rank_fields=["body"], return_documents=True)
    assert {json.dumps(each["document"]) for each in found} == {
        json.dumps({"title": "t", "body": TEXTS[0]}), json.dumps({"text": TEXTS[1]})
    }  # fmt: skip
    assert cohere(TEXTS, path="/v2/rerank", top_n=3, model=bundle().name) == cohere(TEXTS)[:3]


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=lambda text: ascii(text)[:20])
def test_any_text_is_a_query_and_a_document(text: str) -> None:
    assert len(scores([text, *VECTORS], text)) == 1 + len(VECTORS)


def test_a_lone_surrogate_is_a_text_too() -> None:
    body = b'{"query": "a \\ud800 b", "documents": ["c \\udfff d", ""]}'
    assert len(API.answer("/v1/rerank", body)["results"]) == 2


def test_the_shape_of_tei() -> None:
    body = {"query": QUERY, "texts": ["", *TEXTS], "raw_scores": False, "return_text": True, "truncate": True}
    found = API.answer("/rerank", body)
    assert [each["index"] for each in found] == [each["index"] for each in cohere(["", *TEXTS])]
    assert found[-1] == {"index": 0, "score": 0.0, "text": ""}
    raw = API.answer("/rerank", {"query": QUERY, "texts": ["", *TEXTS], "raw_scores": True})
    assert raw[-1] == {"index": 0, "score": -1.0}
    assert [each["index"] for each in raw] == [each["index"] for each in found]


@pytest.mark.parametrize(("path", "body", "status", "says"), [
    ("/v1/rerank", b"{", 400, "expected a JSON object"),
    ("/v1/rerank", b"\xff", 400, "expected a JSON object"),
    ("/v1/rerank", b'{"a":' * 100_000, 400, "expected a JSON object"),
    ("/v1/rerank", {"documents": ["a"]}, 422, "`query`"),
    ("/v1/rerank", {"query": 1, "documents": ["a"]}, 422, "$.query"),
    ("/v1/rerank", {"query": "a", "documents": [1]}, 422, "$.documents[0]"),
    ("/v1/rerank", {"query": "a", "documents": ["a"], "top_n": 0}, 422, "$.top_n"),
    ("/v1/rerank", {"query": "a", "documents": ["a"], "model": "other"}, 404, "expected the model tiny"),
    ("/v1/rerank", {"query": "a", "documents": ["a"] * 1001}, 413, "at most 1000 documents, found 1001"),
    ("/v1/rerank", b" " * (10 * 1024 * 1024 + 1), 413, "at most 10485760 bytes"),
    ("/rerank", {"query": "a"}, 422, "`texts`"),
], ids=range(11))  # fmt: skip
def test_a_wrong_request_is_refused_in_the_apis_shape(path: str, body: Any, status: int, says: str) -> None:  # noqa: ANN401
    answer = API.post(path, body)
    found = json.loads(answer.data)
    assert answer.status_code == status
    assert set(found) == ({"message"} if path == "/v1/rerank" else {"error", "error_type"})
    assert says in (found.get("message") or found["error"])


def test_the_model_is_named() -> None:
    assert API.answer("/v1/rerank", {"query": "a", "documents": []})["meta"]["model"] == model().name
