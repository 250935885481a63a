"""Average the states of a query prefix's tokens over queries, so that no query has to read it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from model_export.errors import TrainingError
from model_export.model.base import Base
from model_export.model.tokens import tokenise
from model_export.model.tower import Tower
from model_export.model.vectors import encode_tokens
from model_export.train.projection import ChangedBase, average_cosine
from reranker.encoder import Ids


def make_prefix_constant(
    base: Base, texts: Sequence[str], *, tokenizer: Path, max_tokens: int
) -> ChangedBase:
    """Replace the query prefix of `base` by its tokens' mean states over the first half of `texts`.

    Raises:
        TrainingError: the base has no prefix, its tokens depend on the text that follows, or there are
            fewer than two texts.
    """
    if not base.query_prefix or base.query.kind != "word_pieces" or base.query.prefix_tokens:
        found = f"{base.query.kind}, {base.query_prefix!r}"
        raise TrainingError(f"expected a base of word pieces with a query prefix, found {found}")
    if len(texts) < 2:
        raise TrainingError(f"expected 2 texts or more, found {len(texts)}")
    prefix = base.query_prefix
    whole = tokenise(base.query, tokenizer, texts, prefix=prefix, max_tokens=max_tokens)
    alone = tokenise(base.query, tokenizer, [""], prefix=prefix, max_tokens=max_tokens)[0]
    num_tokens = len(alone) - 2
    if any(list(ids[: num_tokens + 1]) != list(alone[:-1]) for ids in whole):
        raise TrainingError(f"expected {prefix!r} to be cut alike before every text: end it with a space")
    middle = len(texts) // 2
    tower = base.query.with_prefix(average_states(base.query, whole[:middle], num_tokens))
    changed = replace(base, query=tower, query_prefix="", projected_prefix=prefix)
    wanted = encode_tokens(base.query, whole[middle:])
    bare = tokenise(tower, tokenizer, texts[middle:], prefix="", max_tokens=max_tokens)
    return ChangedBase(
        changed,
        average_cosine(encode_tokens(base.query, bare), wanted),
        average_cosine(encode_tokens(tower, bare), wanted),
    )


def average_states(tower: Tower, batch: Sequence[Ids], num_tokens: int) -> list[torch.Tensor]:
    """Return the mean states with which the tokens after the first enter each layer: (num_tokens, hidden)."""
    layers = tower.num_layers
    sums = np.zeros((layers, num_tokens, tower.bert.config.hidden_size))
    with torch.no_grad():
        for ids in batch:
            found = tower.bert(torch.tensor([list(ids)]), output_hidden_states=True).hidden_states
            for layer in range(layers):
                sums[layer] += found[layer][0, 1 : 1 + num_tokens].double().numpy()
    return [torch.from_numpy((each / len(batch)).astype(np.float32)) for each in sums]
