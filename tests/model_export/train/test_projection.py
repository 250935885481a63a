"""Replacements of a query prefix: a linear layer after the query tower, or constants in its layers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.__main__ import main
from model_export.model.base import load_base
from model_export.model.reference import encode_in_torch
from model_export.model.tokens import load_tokeniser
from model_export.model.twin import TowerShape, TwinBert, TwinShape
from model_export.train.projection import average_cosine, fit_map
from reranker.bundle import Bundle
from reranker.canonical import replay
from reranker.encoder import Encoder
from tests.bundles.make_tiny import make_tiny
from tests.support.indices.small_collection import write_small_collection

pytestmark = pytest.mark.export

PREFIX = "this is the number of a file "
TEXTS = ("read a line of a file", "the sum of a list", "wait for some seconds", "name of the day")
CONFIG = """
[model]
name = "projected"
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
def prefixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base, but that it was made with words before each query."""
    folder = make_tiny(tmp_path_factory.mktemp("base"))
    about = json.loads((folder / "base.json").read_text())
    (folder / "base.json").write_text(json.dumps(about | {"query_prefix": PREFIX}))
    return folder


@pytest.fixture(scope="module")
def config(prefixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    data = write_small_collection(folder / "stdlib", num_documents=420, num_queries=400)
    file = folder / "project.toml"
    file.write_text(CONFIG.format(base=prefixed, data=data))
    return file


@pytest.fixture(scope="module")
def projected(config: Path, prefixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("projected")
    done = command("project", config, "--base", prefixed, "--towards", prefixed, "--out", out)
    assert done.exit_code == 0, done.output
    return out / "model"


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_linear_map_is_found_again() -> None:
    random = np.random.default_rng(2)
    given = random.normal(size=(500, 12)).astype(np.float32)
    rows = (np.eye(12) + 0.3 * random.normal(size=(12, 12))).astype(np.float32)
    np.testing.assert_allclose(fit_map(given, given @ rows.T, ridge=1e-6), rows, atol=1e-4)
    assert np.abs(fit_map(given, given @ rows.T, ridge=1e9) - np.eye(12)).max() < 1e-3


def test_queries_come_nearer_to_those_with_the_prefix(projected: Path, prefixed: Path) -> None:
    before, after = load_base(str(prefixed)), load_base(str(projected))
    assert after.query_prefix == ""
    cut, whole = (
        load_tokeniser("word_pieces", prefixed / "tokenizer.json", max_tokens=64, prefix=prefix)
        for prefix in ("", PREFIX)
    )
    wanted = encode_in_torch(before.query, [whole.query(text) for text in TEXTS])
    given, found = (
        encode_in_torch(base.query, [cut.query(text) for text in TEXTS]) for base in (before, after)
    )
    assert average_cosine(found, wanted) > average_cosine(given, wanted) + 0.015
    ids = [cut.query(text) for text in TEXTS]
    np.testing.assert_array_equal(encode_in_torch(after.document, ids), encode_in_torch(before.document, ids))


def test_its_bundle_keeps_the_documents_and_stores_the_layers_once(
    projected: Path, prefixed: Path, tmp_path: Path
) -> None:
    whole, other = tmp_path / "whole", tmp_path / "other"
    assert command("export", "--base", prefixed, "--out", whole).exit_code == 0
    done = command("export", "--base", projected, "--documents-of", whole, "--out", other)
    assert done.exit_code == 0, done.output
    before, after = Bundle.open(whole), Bundle.open(other)
    assert (after.model_tag, after.name, after.manifest.vectors_of) == (before.model_tag, before.name, None)
    assert after.manifest.trained_on == ("stdlib (PSF-2.0)",)
    assert replay(after).within
    dim = after.manifest.dim
    assert (other / "query_weights.bin").stat().st_size <= 4 * dim * dim, "the layer's own, no layer twice"
    assert not np.allclose(
        before.load_query_encoder()(TEXTS[0]), after.load_query_encoder()(TEXTS[0]), atol=0.01
    )


def test_too_few_texts_are_refused(config: Path, prefixed: Path, tmp_path: Path) -> None:
    options = ["--base", prefixed, "--towards", prefixed, "--out", tmp_path, "--texts", 100]
    done = command("project", config, *options)
    assert done.exit_code == 1
    assert "expected 128 texts or more for vectors of 32 values, found 100" in done.output
    assert not (tmp_path / "model").exists()


def test_towers_of_other_dimensions_are_refused(config: Path, prefixed: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    rows = load_base(str(prefixed)).query.bert.config.vocab_size
    shape = TowerShape(
        rows=rows, layers=1, hidden=16, heads=2, intermediate=32, max_tokens=64, input="word_pieces",
        pooling="mean",
    )  # fmt: skip
    TwinBert.from_shape(TwinShape(shape, None, "cosine")).save(other)
    shutil.copy(prefixed / "tokenizer.json", other)
    about = json.loads((prefixed / "base.json").read_text())
    (other / "base.json").write_text(json.dumps(about | {"pooling": ""}))
    done = command("project", config, "--base", prefixed, "--towards", other, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "expected towers of one dimension and input, found 32 word_pieces and 16" in done.output


def test_a_constant_prefix_is_nearer_still_and_costs_no_weights(
    config: Path, prefixed: Path, tmp_path: Path
) -> None:
    done = command("prefix", config, "--base", prefixed, "--texts", 300, "--out", tmp_path / "constant")
    assert done.exit_code == 0, done.output
    before, after = load_base(str(prefixed)), load_base(str(tmp_path / "constant" / "model"))
    assert (after.query_prefix, after.projected_prefix) == ("", PREFIX)
    assert after.query.max_tokens == before.query.max_tokens - after.query.prefix_tokens
    constants = [each for name, each in after.query.bert.state_dict().items() if name.endswith("self.prefix")]
    assert len(constants) == after.query.num_layers
    assert not constants[0].equal(constants[1]), "each layer has its own"
    cut, whole = (
        load_tokeniser("word_pieces", prefixed / "tokenizer.json", max_tokens=64, prefix=prefix)
        for prefix in ("", PREFIX)
    )
    bare = [cut.query(text) for text in TEXTS]
    wanted = encode_in_torch(before.query, [whole.query(text) for text in TEXTS])
    found = encode_in_torch(after.query, bare)
    assert average_cosine(found, wanted) > average_cosine(encode_in_torch(before.query, bare), wanted) + 0.015
    with torch.no_grad():
        np.testing.assert_allclose(after.query.encode(bare).numpy(), found, atol=1e-5)
    whole_bundle, other = tmp_path / "whole", tmp_path / "other"
    assert command("export", "--base", prefixed, "--out", whole_bundle).exit_code == 0
    options = ["--base", tmp_path / "constant" / "model", "--documents-of", whole_bundle, "--out", other]
    done = command("export", *options)
    assert done.exit_code == 0, done.output
    bundle = Bundle.open(other)
    assert replay(bundle).within
    assert bundle.model_tag == Bundle.open(whole_bundle).model_tag
    own = sum(file.stat().st_size for file in other.iterdir() if file.name == "query_weights.bin")
    assert own <= 40_000, "positions and constants, no layer twice"
    encoder = Encoder(other / "query_encoder.onnx")
    together = encoder.encode_ids(bare)
    alone = np.concatenate([encoder.encode_ids([each]) for each in bare])
    assert ((together * alone).sum(axis=1) > 0.999).all(), "int8 scales are a batch's, so not quite the same"


def test_a_base_without_a_prefix_has_none_to_make_constant(config: Path, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "base")
    done = command("prefix", config, "--base", base, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "expected a base of word pieces with a query prefix, found word_pieces, ''" in done.output
