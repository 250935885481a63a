"""Documents in, documents with vectors out: what is encoded, what is reused, and what has no vector."""

import base64
import json
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from indexer.document import Document
from indexer.enricher import Enricher, Outcome, hash_of
from opensearch.settings.table import ChunkSettings, RerankSettings
from reranker.arrays import Floats
from reranker.stored_vector import pack, unpack
from reranker.text import Chunking

TAG = 77
SETTINGS = RerankSettings(model="m", source_fields=("title", "text"))


class Recorder:
    """Encodes each text as its length, and remembers what it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str], chunking: Chunking) -> list[Floats]:
        self.texts += texts
        return [np.array([[1.0, len(text)]], np.float32) for text in texts]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def document(title: str, document_id: str | None = None, **more: object) -> Document:
    return Document(json.dumps({"title": title, **more}), document_id)


def vector_of(source: bytes) -> bytes:
    return base64.b64decode(json.loads(source)["rerank"]["vector"], validate=True)


def stored(of: Document, *, tag: int = TAG, settings: RerankSettings = SETTINGS) -> bytes:
    return pack(np.array([[9.0, 9.0]], np.float32), text_hash=hash_of(of, settings), model_tag=tag)


def test_a_text_is_encoded_and_its_vector_knows_text_and_model(recorder: Recorder) -> None:
    wanted = document("four", text="x")
    [enriched] = Enricher(recorder, TAG, SETTINGS)([wanted], {})
    vector = unpack(vector_of(enriched.source))
    assert (vector.text_hash, vector.model_tag) == (hash_of(wanted, SETTINGS), TAG)
    assert vector.values[0, 1] == pytest.approx(len("four\nx"), rel=0.01)
    assert enriched.outcome is Outcome.ENCODED


def test_equal_texts_are_encoded_once(recorder: Recorder) -> None:
    enriched = Enricher(recorder, TAG, SETTINGS)([document("a", "1"), document("b"), document("a", "2")], {})
    assert recorder.texts == ["a", "b"]
    assert vector_of(enriched[0].source) == vector_of(enriched[2].source)


def test_a_current_vector_is_reused_as_it_stands(recorder: Recorder) -> None:
    wanted = document("a", "1", new=True)
    [enriched] = Enricher(recorder, TAG, SETTINGS)([wanted], {"1": stored(wanted)})
    assert enriched.outcome is Outcome.REUSED
    assert vector_of(enriched.source) == stored(wanted)
    assert recorder.texts == []


@pytest.mark.parametrize(
    "worn",
    [
        stored(document("other")),
        stored(document("a"), tag=TAG + 1),
        stored(document("a"), settings=msgspec.structs.replace(SETTINGS, chunk=ChunkSettings(64))),
        stored(document("a"))[:-1],
        b"",
    ],
    ids=["text", "model", "chunks", "cut", "empty"],
)  # fmt: skip
def test_a_vector_that_is_not_current_is_made_anew(recorder: Recorder, worn: bytes) -> None:
    for given, held in [
        (document("a", "1"), {"1": worn}),
        (document("a", rerank={"vector": base64.b64encode(worn).decode()}), {}),
    ]:
        [enriched] = Enricher(recorder, TAG, SETTINGS)([given], held)
        assert enriched.outcome is Outcome.ENCODED
        assert vector_of(enriched.source) != worn


def test_a_current_vector_in_the_document_itself_is_kept(recorder: Recorder) -> None:
    own = base64.b64encode(stored(document("a"))).decode().rstrip("=")
    [enriched] = Enricher(recorder, TAG, SETTINGS)([document("a", rerank={"vector": own})], {})
    assert enriched.outcome is Outcome.REUSED


def test_no_text_means_no_vector_not_even_an_old_one(recorder: Recorder) -> None:
    old = {"vector": base64.b64encode(stored(document("a"))).decode()}
    enriched = Enricher(recorder, TAG, SETTINGS)(
        [document(" ", "1", rerank=old), Document("{}")], {"1": b"x"}
    )
    assert [json.loads(one.source) for one in enriched] == [{"title": " "}, {}]
    assert {one.outcome for one in enriched} == {Outcome.NO_TEXT}
    assert recorder.texts == []


def test_a_vector_that_is_not_finite_is_left_out() -> None:
    def broken(texts: Sequence[str], chunking: Chunking) -> list[Floats]:
        return [np.array([[np.nan if text == "bad" else 1.0]], np.float32) for text in texts]

    enriched = Enricher(broken, TAG, SETTINGS)([document("bad"), document("good")], {})
    assert [one.outcome for one in enriched] == [Outcome.NOT_ENCODABLE, Outcome.ENCODED]
    assert json.loads(enriched[0].source) == {"title": "bad"}
