"""Only the crossing is learned if both towers are frozen."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.model.base import load_base
from model_export.train.loop import LOG
from reranker.bundle import DEFAULT_BUNDLE
from tests.bundles.make_tiny import make_tiny
from tests.support.indices.small_collection import write_small_collection

pytestmark = pytest.mark.export


def test_a_crossing_alone_is_learned_over_frozen_towers(tmp_path: Path) -> None:
    data = write_small_collection(tmp_path / "stdlib", num_documents=250, num_queries=110)
    base = make_tiny(tmp_path / "base")
    (tmp_path / "residual.toml").write_text(
        f'[model]\nname = "crossing"\nlicence = "Apache-2.0"\nbase = "{base}"\nshared = false\n'
        'crossing = "residual"\ncrossing_hidden = 16\n'
        f'[[data.train]]\nkind = "beir"\npath = "{data}"\nlicence = "PSF-2.0"\n[data]\ndev_share = 0.2\n'
        f'[teacher]\nencoders = ["{DEFAULT_BUNDLE}"]\n'
        '[distil]\nobjective = "listwise_kl"\nnegatives = 5\nfrozen_queries = true\n'
        "[run]\nepochs = 8\nbatch_size = 16\nlearning_rate = 0.003\nevaluate_every = 10\n"
    )
    options = ["train", str(tmp_path / "residual.toml"), "--out", str(tmp_path / "run")]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.output
    before, after = load_base(str(base)), load_base(str(tmp_path / "run" / "model"))
    assert after.query.has_weights_of(before.query)
    assert after.document.has_weights_of(before.document)
    log = (tmp_path / "run" / "round-1" / LOG).read_text()
    looks = [json.loads(line) for line in log.splitlines()]
    assert looks[-1]["loss"] < 0.99 * looks[1]["loss"]
