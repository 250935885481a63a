"""What a query tower is aligned to, and the short way to a vector that is the first token's state."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.errors import TrainingError
from model_export.model import first_token
from model_export.model.base import load_base
from model_export.model.tower import Tower
from model_export.train.align import Alignment, encode_with_bundle
from model_export.train.config import RunSection
from reranker.bundle import Bundle
from tests.bundles.make_tiny import make_tiny
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export


def test_the_vectors_to_learn_may_be_those_of_searches(tmp_path: Path) -> None:
    texts, bundle = ["wait a bit", "read a file", "x"], Bundle.open(TINY_BUNDLE)
    place, run = str(TINY_BUNDLE), RunSection(threads=2)
    expected = np.stack([bundle.load_query_encoder()(text) for text in texts])
    assert np.array_equal(encode_with_bundle(place, run, texts, tmp_path, what="made"), expected)
    [file] = (tmp_path / bundle.manifest.query_digest[:12]).iterdir()
    np.save(file, expected[::-1])
    assert np.array_equal(encode_with_bundle(place, run, texts, tmp_path, what="read"), expected[::-1])


def test_what_cannot_be_learned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"expected a bundle to learn from in distil.bundle, found: .*none"
    ):
        encode_with_bundle(str(tmp_path / "none"), RunSection(), ["x"], tmp_path, what="made")
    tower, wide = load_base(str(make_tiny(tmp_path / "base"))).query, np.ones((1, 64), np.float32)
    with pytest.raises(TrainingError, match=r"expected vectors of 32 values to learn, .*, found 64"):
        Alignment(tower, [[2, 3]], wide, [[2, 3]], wide)


@pytest.mark.parametrize("prefix_tokens", [0, 3])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_vectors_by_the_first_token_alone_are_the_towers(
    tmp_path: Path, pooling: str, prefix_tokens: int
) -> None:
    tower = Tower(load_base(str(make_tiny(tmp_path / "base", layers=2))).query.bert, pooling).train(
        mode=False
    )
    if prefix_tokens:
        torch.manual_seed(1)
        tower = tower.with_prefix([torch.randn(prefix_tokens, 32) for _ in range(2)])
    texts = [[2, 9, 8, 7, 3], [2, 3], [2, 11, 3]]
    with torch.no_grad():
        difference = first_token.encode(tower, texts) - tower.encode(texts)
    assert difference.abs().max() < 1e-6
