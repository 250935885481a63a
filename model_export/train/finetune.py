"""Fine-tune a teacher: a cross-encoder learns from labelled pairs, starting from a base."""

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Encoding, Tokenizer
from torch import nn
from transformers import BertForSequenceClassification

from model_export.data.collection import JudgedCollection
from model_export.data.examples import Examples
from model_export.data.quality import measure_ndcg
from model_export.errors import TrainingError
from model_export.model.base import Base
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.train.losses import gold_cross_entropy
from model_export.train.negatives import Group
from model_export.train.teacher import BATCH, compute_logits


class FineTuning:
    """The loss is the cross-entropy of sigmoid(logit) with the labels, over a query's documents.

    The measure is the nDCG@10 of the logits over the development collection's hits.
    """

    measure_name = "nDCG@10"

    def __init__(
        self,
        base: Base,
        groups: Sequence[Group],
        examples: Examples,
        dev: JudgedCollection,
        *,
        max_tokens: int,
    ) -> None:
        self.module: nn.Module = make_classifier(base)
        self._tokenizer = Tokenizer.from_str(base.tokenizer)
        self._tokenizer.enable_truncation(max_tokens, strategy="longest_first")
        self._tokenizer.no_padding()
        self._groups = groups
        self._examples = examples
        self._dev = dev
        lengths = {i: len(text.split()) for i, text in examples.documents.items()}
        self.lengths: Sequence[int] = [sum(lengths[each] for each in group.documents) for group in groups]

    def compute_loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the loss over the groups of these numbers."""
        groups = [self._groups[i] for i in rows]
        texts = [self._encode_pair(group.query, each) for group in groups for each in group.documents]
        device = next(self.module.parameters()).device
        labels = torch.tensor([label for group in groups for label in group.labels], device=device)
        return gold_cross_entropy(compute_logits(self.module, texts, device), labels)

    def measure(self) -> float:
        """Return the nDCG@10 on the development collection."""
        pairs = [(query, hit) for query, hits in self._dev.hits.items() for hit in hits]
        run: dict[str, dict[str, float]] = {query: {} for query in self._dev.hits}
        device = next(self.module.parameters()).device
        order = sorted(pairs, key=lambda pair: len(self._examples.documents[pair[1]]))
        with torch.no_grad():
            for start in range(0, len(order), BATCH):
                part = order[start : start + BATCH]
                logits = compute_logits(
                    self.module, [self._encode_pair(*pair) for pair in part], device
                ).tolist()
                for (query, hit), logit in zip(part, logits, strict=True):
                    run[query][hit] = logit
        return measure_ndcg(self._dev, run)

    def save(self, folder: Path) -> None:
        """Write the classifier and its tokeniser in the form that `CrossEncoder` reads."""
        classifier_: Any = self.module
        classifier_.save_pretrained(folder)
        self._tokenizer.no_truncation()
        self._tokenizer.save(str(folder / TOKENIZER_FILE))

    @property
    def identity(self) -> str:
        """A digest that identifies these groups."""
        return hashlib.sha256(repr(self._groups).encode()).hexdigest()

    def _encode_pair(self, query: str, document: str) -> Encoding:
        texts = self._examples
        return self._tokenizer.encode(texts.queries[query][:2000], texts.documents[document][:20_000])


def make_classifier(base: Base) -> BertForSequenceClassification:
    """Return a classifier of one output over the base's transformer; segment embeddings start at 0.

    Raises:
        TrainingError: the base reads tri-letters, which cannot encode pairs.
    """
    tower = base.query
    if tower.kind != "word_pieces":
        raise TrainingError("expected a base of word pieces for a cross-encoder, found one of tri-letters")
    config = copy.deepcopy(tower.bert.config)
    config.type_vocab_size = 2
    config.num_labels = 1
    model: BertForSequenceClassification = BertForSequenceClassification(config).train(mode=False)
    state = tower.bert.state_dict() | {
        "embeddings.token_type_embeddings.weight": torch.zeros(2, config.hidden_size)
    }
    missing, _ = model.bert.load_state_dict(state, strict=False)
    if [name for name in missing if not name.startswith("pooler")]:
        raise TrainingError(f"expected every weight of {base.name}, found none of {missing}")
    return model
