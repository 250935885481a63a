"""The tiny bundle's real encoders: any batch gives the vectors that each text has alone."""

import shutil
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.bundle import Bundle
from reranker.encoder import (
    DOCUMENT_BATCH_TOKENS,
    PADDING_TOKENS,
    DocumentEncoder,
    Encoder,
    QueryEncoder,
    batch_by_length,
)
from reranker.errors import BundleError, EncodingError, StoredVectorError
from reranker.stored_vector import pack
from reranker.text import Chunking
from reranker.tokens import Tokens
from tests.support.paths import TINY_BUNDLE

TINY = TINY_BUNDLE
BUNDLE = Bundle.open(TINY)
QUERY = BUNDLE.load_query_encoder()
DOCUMENT = BUNDLE.load_document_encoder(threads=1)
DIM = BUNDLE.manifest.dim
CHUNKING = Chunking(max_tokens=16, overlap=4, max_chunks=3)

words = st.lists(
    st.sampled_from(["wait", "a", "bit", "read", "file", "\N{GRINNING FACE}", "line,"]), max_size=60
)


def test_a_query_vector_is_a_float32_unit_vector() -> None:
    vector = QUERY("how to wait a bit")
    assert vector.shape == (DIM,) == (QUERY.dim,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_query_has_the_same_vector_every_time() -> None:
    assert np.array_equal(QUERY("read a file"), QUERY("read a file"))
    assert not np.array_equal(QUERY("read a file"), QUERY("wait a bit"))


@pytest.mark.parametrize("text", ["", " ", "\ud83d", "\N{GRINNING FACE}", "x" * 1_000_000, "wait " * 200_000])
def test_unusual_texts_have_unit_vectors(text: str) -> None:
    assert np.linalg.norm(QUERY(text)) == pytest.approx(1, abs=1e-5)
    (vectors,) = DOCUMENT([text], CHUNKING)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@settings(deadline=None)
@given(st.lists(words.map(" ".join), max_size=8), st.randoms(use_true_random=False))
def test_a_batch_gives_the_vectors_of_one_by_one_in_any_order(texts: list[str], random: Random) -> None:
    shuffled = random.sample(range(len(texts)), len(texts))
    batch = DOCUMENT([texts[i] for i in shuffled], CHUNKING)
    assert len(batch) == len(texts)
    for position, vectors in zip(shuffled, batch, strict=True):
        (alone,) = DOCUMENT([texts[position]], CHUNKING)
        assert vectors.shape == alone.shape
        assert np.abs(vectors - alone).max() < 1e-5
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@given(st.lists(st.integers(1, 700), max_size=300))
def test_batches_hold_every_text_once_and_little_padding(lengths: list[int]) -> None:
    batches = list(batch_by_length(lengths))
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[position] for position in batch)
        assert len(batch) == 1 or longest * len(batch) <= DOCUMENT_BATCH_TOKENS
        assert sum(longest - lengths[position] for position in batch) <= PADDING_TOKENS


def test_texts_of_one_length_fill_their_batches() -> None:
    assert [len(batch) for batch in batch_by_length([16] * 65)] == [32, 32, 1]


def test_more_texts_than_a_batch_holds() -> None:
    texts = ["wait a bit " * (i % 40) for i in range(DOCUMENT_BATCH_TOKENS // 16 * 3)]
    batch = DOCUMENT(texts, CHUNKING)
    for i in (0, 1, 39, len(texts) - 1):
        assert np.abs(batch[i] - DOCUMENT([texts[i]], CHUNKING)[0]).max() < 1e-5


def test_several_threads_give_the_same_vectors() -> None:
    texts = ["wait a bit " * (i % 40) for i in range(200)]
    several = BUNDLE.load_document_encoder(threads=3)(texts, CHUNKING)
    for one, other in zip(DOCUMENT(texts, CHUNKING), several, strict=True):
        assert np.array_equal(one, other)


def test_a_long_text_has_a_vector_a_chunk() -> None:
    short, long = DOCUMENT(["wait", "wait a bit " * 100], CHUNKING)
    assert short.shape == (1, DIM)
    assert long.shape == (3, DIM)


def test_no_texts_give_no_vectors() -> None:
    assert DOCUMENT([], CHUNKING) == []


def test_ids_beyond_the_vocabulary_are_an_encoding_error() -> None:
    encoder = Encoder(TINY / BUNDLE.manifest.query.file)
    with pytest.raises(EncodingError, match=r"expected vectors of .*\.onnx, found: .*export"):
        encoder.encode_ids([[10_000_000]])


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x07"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "encoder.onnx"
    file.write_bytes(content)
    with pytest.raises(BundleError, match=r"expected an ONNX model in .*encoder\.onnx, found: .*export"):
        Encoder(file)


def test_half_a_model_is_refused(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path / "tiny")
    file = tmp_path / "tiny" / BUNDLE.manifest.query.file
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BundleError, match=r"expected an ONNX model in .*\.onnx, found: "):
        Encoder(file)


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"expected an ONNX model in .*absent\.onnx, found: "):
        Encoder(tmp_path / "absent.onnx")


INT64, FLOAT, INT32 = 7, 1, 6
"""Element types of ONNX's TensorProto."""


def graph(
    file: Path,
    *,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask"),
    input_type: int = INT64,
    outputs: tuple[str, ...] = ("embedding",),
    output_type: int = FLOAT,
    rank: int = 2,
    fill: float = 0.0,
) -> Path:
    """Write a model that ignores its inputs and gives constants, with the names and types asked for."""
    onnx = pytest.importorskip("onnx", reason="building other graphs needs onnx (the export extra)")
    helper = onnx.helper
    constant = helper.make_tensor("value", output_type, [1] * rank, [fill])
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Constant", [], [name], value=constant) for name in outputs],
            "other",
            [helper.make_tensor_value_info(name, input_type, ["batch", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(name, output_type, [1] * rank) for name in outputs],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, file)
    return file


def test_the_expected_graph_is_accepted(tmp_path: Path) -> None:
    file = graph(tmp_path / "model.onnx", inputs=("input_ids", "attention_mask", "token_type_ids"))
    assert Encoder(file).encode_ids([[1, 2]]).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"inputs": ("input_ids",)}, "found {'input_ids': 'tensor(int64)'}"),
        ({"inputs": ("input_ids", "attention_mask", "position_ids")}, "position_ids"),
        ({"inputs": ("ids", "mask")}, "'ids'"),
        ({"input_type": INT32}, "tensor(int32)"),
        ({"outputs": ("last_hidden_state",)}, "last_hidden_state"),
        ({"outputs": ("embedding", "pooled")}, "pooled"),
        ({"output_type": INT64}, "('embedding', 'tensor(int64)', 2)"),
        ({"rank": 3}, "('embedding', 'tensor(float)', 3)"),
        ({"rank": 1}, "('embedding', 'tensor(float)', 1)"),
        ({"rank": 0}, "('embedding', 'tensor(float)', 0)"),
    ],
)
def test_a_graph_with_other_inputs_or_outputs_is_refused(
    tmp_path: Path, change: dict[str, object], found: str
) -> None:
    file = graph(tmp_path / "model.onnx", **change)  # type: ignore[arg-type]  # one of graph's own arguments
    with pytest.raises(
        BundleError, match=r"model\.onnx: expected int64 inputs input_ids, attention_mask"
    ) as caught:
        Encoder(file)
    assert found in str(caught.value)
    assert "python -m model_export export" in str(caught.value)


@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_a_vector_that_is_not_finite_fails_the_query_but_not_the_other_documents(
    tmp_path: Path, fill: float
) -> None:
    encoder = Encoder(graph(tmp_path / "model.onnx", fill=fill))
    tokens = Tokens(TINY / BUNDLE.manifest.tokenizer, max_tokens=16)
    with pytest.raises(EncodingError, match="expected a finite query vector, found others"):
        QueryEncoder(encoder, tokens)("wait")
    (vectors,) = DocumentEncoder(encoder, tokens)(["wait"], CHUNKING)
    with pytest.raises(StoredVectorError):
        pack(vectors, text_hash=0, model_tag=0)
