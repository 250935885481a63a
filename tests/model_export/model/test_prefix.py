"""A student that takes over the constants of another base's layers."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.errors import TrainingError
from model_export.model.base import load_base
from model_export.model.twin import TwinBert
from model_export.train.config import ModelSection
from model_export.train.model_folder import write_model
from model_export.train.student import make_student
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export

PREFIX = "this is the number of a file "


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of two layers."""
    return make_tiny(tmp_path_factory.mktemp("plain"), layers=2)


@pytest.fixture(scope="module")
def constant(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with three constant tokens in each layer."""
    base, folder = load_base(str(plain)), tmp_path_factory.mktemp("constant")
    hidden = base.query.bert.config.hidden_size
    tower = base.query.with_prefix([torch.full((3, hidden), 0.1), torch.full((3, hidden), 0.2)])
    twin = TwinBert(tower, base.document, base.crossing)
    write_model(folder, twin, replace(base, query=tower, projected_prefix=PREFIX))
    return folder


def section(base: Path, **others: object) -> ModelSection:
    return msgspec.structs.replace(ModelSection("x", "MIT", base=str(base), shared=False), **others)


def test_the_constants_are_those_of_the_layers_named(plain: Path, constant: Path) -> None:
    made = make_student(section(plain, layers="last:1", prefix_of=str(constant)), [], seed=1)
    assert (made.query_prefix, made.projected_prefix) == ("", PREFIX)
    [states] = made.query.prefix_states
    assert states.equal(load_base(str(constant)).query.prefix_states[1])
    assert made.query.max_tokens == load_base(str(plain)).query.max_tokens - 3
    alone = load_base(str(plain)).query.with_layers([1])
    assert made.query.has_weights_of(alone)
    found, without = (tower.encode([[2, 9, 3]]) for tower in (made.query, alone))
    assert not torch.allclose(found, without, atol=1e-3), "they are read"


def test_a_base_of_fewer_layers_takes_those_that_it_was_learned_from(constant: Path, tmp_path: Path) -> None:
    smaller = make_tiny(tmp_path / "smaller", layers=1)
    made = make_student(section(smaller, prefix_of=str(constant), prefix_layers=(1,)), [], seed=1)
    [states] = made.query.prefix_states
    assert states.equal(load_base(str(constant)).query.prefix_states[1])
    assert load_base(str(smaller)).query.prefix_states == []


@pytest.mark.parametrize(
    ("base", "source", "layers", "message"),
    [
        ("plain", "constant", "last:1", "expected prefix_layers for each of 2 layers, found 1"),
        ("plain", "constant", "last:4", "expected layers as all, first:N"),
        (
            "constant",
            "constant",
            "all",
            "expected a prefix_of with constants .*, found 3 and 3 constant tokens",
        ),
        ("plain", "plain", "all", "expected a prefix_of with constants .*, found 0 and 0 constant tokens"),
    ],
)
def test_what_does_not_go_together_is_refused(
    plain: Path, constant: Path, base: str, source: str, layers: str, message: str
) -> None:
    folders = {"plain": plain, "constant": constant}
    about = section(folders[base], prefix_of=str(folders[source]), prefix_layers=layers)
    with pytest.raises(TrainingError, match=message):
        make_student(about, [], seed=1)


def test_a_start_from_random_weights_has_no_layers_for_them(constant: Path) -> None:
    about = ModelSection("x", "MIT", prefix_of=str(constant))
    with pytest.raises(TrainingError, match="expected a base that prefix_of and lower_of change"):
        make_student(about, [], seed=1)
