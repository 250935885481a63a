"""Which layers a student keeps or gets, and its vocabulary."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import TrainingError
from model_export.model.base import load_base
from model_export.train.config import ModelSection
from model_export.train.student import build_vocabulary, make_student, select_layers
from tests.bundles.make_tiny import make_tiny

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


def test_layers_of_another_base_come_first(tmp_path: Path) -> None:
    own, other = make_tiny(tmp_path / "own", layers=1), make_tiny(tmp_path / "other", layers=2)
    section = ModelSection(
        "x", "MIT", base=str(own), lower_of=str(other), lower_layers="last:1", shared=False
    )
    made = make_student(section, (), seed=1)
    layers = made.query.bert.encoder.layer
    expected = [
        load_base(str(other)).query.bert.encoder.layer[1],
        load_base(str(own)).query.bert.encoder.layer[0],
    ]
    assert made.query.num_layers == len(layers) == 2
    for layer, wanted in zip(layers, expected, strict=True):
        state = wanted.state_dict()
        assert all(each.equal(state[name]) for name, each in layer.state_dict().items())
    assert made.query.encode([[2, 9, 3]]).shape == (1, 32)
    assert made.document.num_layers == 1


def test_layers_of_another_width_are_refused(tmp_path: Path) -> None:
    own, other = make_tiny(tmp_path / "own"), make_tiny(tmp_path / "other", dim=64)
    section = ModelSection("x", "MIT", base=str(own), lower_of=str(other), shared=False)
    with pytest.raises(TrainingError, match="expected lower_of with layers like the base's"):
        make_student(section, (), seed=1)
    with pytest.raises(TrainingError, match="expected a base"):
        make_student(ModelSection("x", "MIT", lower_of=str(other)), (), seed=1)
