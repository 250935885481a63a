"""The file names of a graph's external data, changed in its bytes."""

import pytest

from reranker.external_data import relocate_data
from tests.support.paths import TINY_BUNDLE

onnx = pytest.importorskip("onnx", reason="needs onnx: the export extra")

GRAPH = (TINY_BUNDLE / "query_encoder.onnx").read_bytes()
LONG = "/".join(["folder"] * 60) + "/weights.bin"
"""Its length takes two bytes, as that of the messages around it may then do."""


@pytest.mark.parametrize("name", ["weights.bin", "w", "tiny/weights.bin", "größe/weights.bin", LONG])
def test_only_the_names_change(name: str) -> None:
    found, expected = onnx.ModelProto(), onnx.ModelProto()
    found.ParseFromString(relocate_data(GRAPH, {"weights.bin": name}))
    expected.ParseFromString(GRAPH)
    places = [
        entry
        for tensor in expected.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    ]
    assert places
    for entry in places:
        entry.value = name
    assert found == expected


def test_the_same_name_gives_the_same_bytes() -> None:
    assert relocate_data(GRAPH, {"weights.bin": "weights.bin"}) == GRAPH


def test_a_file_that_is_not_named_is_refused() -> None:
    with pytest.raises(ValueError, match=r"weights in 'weights\.bin', which the manifest does not name"):
        relocate_data(GRAPH, {"other.bin": "other.bin"})


def test_a_graph_that_is_cut_short_is_refused_or_copied() -> None:
    """Never another error: what is left of a graph may be a message by chance."""
    for end in range(0, len(GRAPH), 97):
        try:
            assert relocate_data(GRAPH[:end], {"weights.bin": "weights.bin"}) == GRAPH[:end]
        except ValueError as error:
            assert "protobuf" in str(error)  # noqa: PT017  # either is right, nothing else


def test_a_flipped_bit_is_never_another_error() -> None:
    for position in range(0, len(GRAPH), 53):
        flipped = bytearray(GRAPH)
        flipped[position] ^= 1 << position % 8
        try:
            relocate_data(bytes(flipped), {"weights.bin": "weights.bin"})
        except ValueError as error:
            assert str(error)  # noqa: PT017
