"""Fewer inner units in a query tower's layers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.__main__ import main
from model_export.base import load
from model_export.model.twin import TwinBert
from model_export.train.model_folder import write_model
from model_export.train.narrow import RIDGE, Moments, best_without, second_moments
from reranker.bundle import Bundle
from tests.bundles.make_tiny import make_tiny
from tests.small_collection import write_small_collection

pytestmark = pytest.mark.export

UNITS = 20
CONFIG = """
[model]
name = "narrow"
licence = "Apache-2.0"
base = "{base}"
[[data.train]]
kind = "beir"
path = "{data}"
licence = "PSF-2.0"
[distil]
objective = "align"
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base, its query tower apart from its documents'."""
    folder = make_tiny(tmp_path_factory.mktemp("whole"), layers=2)
    whole, out = load(str(folder)), tmp_path_factory.mktemp("base")
    tower = whole.query.with_layers([0, 1])
    write_model(out, TwinBert(tower, whole.document, whole.crossing), replace(whole, query=tower))
    return out


@pytest.fixture(scope="module")
def config(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    data = write_small_collection(folder / "stdlib", num_documents=120, num_queries=100)
    file = folder / "narrow.toml"
    file.write_text(CONFIG.format(base=base, data=data))
    return file


def narrow(config: Path, base: Path, units: int, out: Path) -> Result:
    arguments = ["narrow", config, "--base", base, "--inner-units", units, "--out", out]
    return CliRunner().invoke(main, [str(each) for each in arguments])


def seen(units: Moments) -> Moments:
    rows = np.hstack([units, np.ones((len(units), 1))])
    moments: Moments = rows.T @ rows / len(rows)
    return moments


def test_a_unit_that_others_know_is_taken_out_without_loss() -> None:
    random = np.random.default_rng(1)
    units = random.normal(size=(5000, 6))
    units[:, 4] = 0.5 * units[:, 1] - 2 * units[:, 2] + 3
    weights = random.normal(size=(3, 7))
    kept, found = best_without(weights, seen(units), 5)
    assert set(range(6)) - set(kept) <= {1, 2, 4}, "one of those that say the same"
    before = units @ weights[:, :6].T + weights[:, 6]
    after = units[:, kept] @ found[:, :5].T + found[:, 5]
    assert ((before - after) ** 2).mean() < 1e-3 * before.var()


def test_the_weights_left_are_those_of_least_squares() -> None:
    random = np.random.default_rng(2)
    units = random.normal(size=(4000, 8)) @ random.normal(size=(8, 8)) + random.normal(size=8)
    weights, moments = random.normal(size=(4, 9)), seen(units)
    kept, found = best_without(weights, moments, 3)
    ridged = moments + RIDGE * np.trace(moments[:8, :8]) / 8 * np.diag([*np.ones(8), 0.0])
    rows = [*kept, 8]
    wanted = np.linalg.solve(ridged[np.ix_(rows, rows)], ridged[rows] @ weights.T).T
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_the_second_moments_are_those_of_what_the_layer_reads(base: Path) -> None:
    tower, ids = load(str(base)).query, [2, 9, 17, 3]
    found = second_moments(tower, [ids, ids])
    assert len(found) == tower.num_layers
    with torch.no_grad():
        states = tower.bert.embeddings(torch.tensor([ids]))
        layer: Any = tower.bert.encoder.layer[0]
        attended = layer.attention(states)[0]
        wanted = seen(layer.intermediate(attended)[0].double().numpy())
    np.testing.assert_allclose(found[0], wanted, rtol=1e-4, atol=1e-6)


def test_a_narrower_tower_is_near_the_base_and_becomes_a_bundle(
    config: Path, base: Path, tmp_path: Path
) -> None:
    done = narrow(config, base, UNITS, tmp_path / "narrow")
    assert done.exit_code == 0, done.output
    said = float(done.output.split("held back to the base's ")[1].split()[0])
    made, before = load(str(tmp_path / "narrow" / "model")), load(str(base))
    assert made.query.bert.config.intermediate_size == UNITS
    assert made.document.has_weights_of(before.document), "the documents' tower stays"
    crude = before.query.with_layers([0, 1])
    for layer in crude.bert.encoder.layer:
        inner: Any = layer.get_submodule("intermediate.dense")
        inner.weight.data[UNITS:] = inner.bias.data[UNITS:] = 0
    ids = [[2, *range(start, start + 5), 3] for start in range(5, 60, 5)]
    with torch.no_grad():
        wanted, found, other = (tower.encode(ids) for tower in (before.query, made.query, crude))
    nearer, further = ((wanted * each).sum(dim=1).mean().item() for each in (found, other))
    assert said > 0.97
    assert nearer > further
    bundle = tmp_path / "bundle"
    options = ["export", "--base", str(tmp_path / "narrow" / "model"), "--out", str(bundle)]
    exported = CliRunner().invoke(main, options)
    assert exported.exit_code == 0, exported.output
    assert Bundle.open(bundle).query_encoder()("a line of a file").shape == (made.query.dim,)


def test_no_more_units_than_there_are_can_be_left(config: Path, base: Path, tmp_path: Path) -> None:
    there = load(str(base)).query.bert.config.intermediate_size
    done = narrow(config, base, there, tmp_path / "narrow")
    assert done.exit_code == 1
    assert f"expected fewer inner units than the {there} of the base, found {there}" in done.output
    assert not (tmp_path / "narrow" / "model").exists()


def test_one_tower_for_both_sides_is_not_narrowed(config: Path, tmp_path: Path) -> None:
    """Its documents' vectors would change with it."""
    shared = make_tiny(tmp_path / "shared")
    done = narrow(config, shared, UNITS, tmp_path / "narrow")
    assert done.exit_code == 1
    assert "a query tower of its own, found" in done.output
    assert "one tower for both sides" in done.output
