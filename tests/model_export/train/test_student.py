"""Which layers a student keeps, and its vocabulary."""

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import TrainingError
from model_export.train.student import build_vocabulary, select_layers

pytestmark = pytest.mark.export


@pytest.mark.parametrize(
    ("layers", "kept"),
    [
        ("all", [0, 1, 2, 3, 4, 5]),
        ("first:2", [0, 1]),
        ("last:2", [4, 5]),
        ("every:2", [0, 2, 4]),
        ((0, 5), [0, 5]),
    ],
)
def test_layers_by_word_or_number(layers: str | tuple[int, ...], kept: list[int]) -> None:
    assert select_layers(layers, 6) == kept


@pytest.mark.parametrize("layers", ["some", "first:0", "first:7", "every:x", (6,), ()])
def test_unknown_layers_are_refused(layers: str | tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match="expected layers as"):
        select_layers(layers, 6)


def test_the_vocabulary_has_the_most_frequent_trigrams() -> None:
    assert build_vocabulary(["abab abab", "abc"], 3) == ("#ab", "ab#", "aba")
