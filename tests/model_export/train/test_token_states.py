"""Word embeddings that replace a model's first layers."""

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

import torch

from model_export.errors import TrainingError
from model_export.model import first_token
from model_export.model.base import load_base
from model_export.train.config import ModelSection
from model_export.train.student import make_student
from model_export.train.token_states import initialise_embeddings
from tests.bundles.make_tiny import make_tiny

pytestmark = pytest.mark.export


def test_word_embeddings_replace_the_first_layers(tmp_path: Path) -> None:
    base = load_base(str(make_tiny(tmp_path / "base", layers=2)))
    whole = base.query.train(mode=False)
    with torch.no_grad():
        whole.bert.embeddings.position_embeddings.weight.zero_()  # else a row has its place's share too
        tower = whole.with_layers([1])
        initialise_embeddings(tower, whole, 1, base.tokenizer)
        ids = torch.tensor([[2, 9, 3]])
        first, word, last = tower.bert.embeddings(ids)[0]
        expected = first_token.compute_states(whole, ids, 1)[0]
        assert torch.allclose(word, expected[1], atol=1e-5)
        beside = first_token.compute_states(whole, torch.tensor([[2, i, 3] for i in range(97)]), 1)
        means = beside[:, [0, 2]].mean(dim=0)
        assert torch.cosine_similarity(torch.stack([first, last]), means).min() > 0.99


@pytest.mark.parametrize(
    ("num_layers", "tokenizer", "message"),
    [
        (3, "", "expected token_layers of at most 2"),
        (1, "{}", r"expected a tokeniser with \[CLS\] and \[SEP\]"),
    ],
)
def test_word_embeddings_cannot_replace_missing_layers(
    tmp_path: Path, num_layers: int, tokenizer: str, message: str
) -> None:
    base = load_base(str(make_tiny(tmp_path / "base", layers=2)))
    with pytest.raises(TrainingError, match=message):
        initialise_embeddings(
            base.query.with_layers([1]), base.query, num_layers, tokenizer or base.tokenizer
        )


@pytest.mark.parametrize(
    "changes", [{"base": None}, {"input": "tri_letters", "buckets": 50}, {"tokenizer": "mine.json"}]
)
def test_they_need_a_base_and_its_word_pieces(tmp_path: Path, changes: dict[str, object]) -> None:
    section = ModelSection("x", "MIT", base=str(make_tiny(tmp_path / "base", layers=2)), token_layers=1)
    with pytest.raises(TrainingError, match="expected a base with its own word pieces for token_layers"):
        make_student(msgspec.structs.replace(section, **changes), [], seed=1)
