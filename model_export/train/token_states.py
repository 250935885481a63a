"""Word embeddings that replace a model's first layers: their output for each word piece alone.

A tower of few layers then starts from the output of the first layers, at no cost to a query. A piece's row is
its state after those layers, between the first token and the last. Model2Vec (Tulkens and van Dongen 2024)
takes the last layer's. Training teaches the rows what the surrounding pieces would have added.
"""

import json
from collections.abc import Iterator
from typing import Any

import torch

from model_export.errors import TrainingError
from model_export.model import first_token
from model_export.model.tower import Tower

FIRST_PIECE, LAST_PIECE = "[CLS]", "[SEP]"
BATCH = 1024
USUAL_POSITIONS = slice(1, 32)
"""The positions whose mean is subtracted from all, because the states contain it already."""
POSITIONS_WEIGHT = 0.3
"""The positions' weight relative to the pieces'; 1 and 0.1 were no better in trials."""


def initialise_embeddings(tower: Tower, base: Tower, num_layers: int, tokenizer: str) -> None:
    """Give `tower` word embeddings that replace the first `num_layers` layers of `base`.

    The embeddings get the normalisation of the last of these layers, so that it maps a row to the state.

    Raises:
        TrainingError: the base has fewer layers or does not read word pieces, or its tokeniser lacks the
            first or the last piece.
    """
    if not 0 < num_layers <= base.num_layers or base.kind != "word_pieces":
        raise TrainingError(
            f"expected token_layers of at most {base.num_layers} for word pieces, found {num_layers}"
        )
    states = _compute_states(base, num_layers, _read_end_pieces(tokenizer))
    kept: Any = base.bert.encoder.layer[num_layers - 1].get_submodule("output.LayerNorm")
    embeddings: Any = tower.bert.embeddings
    with torch.no_grad():
        words, positions = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
        positions.mul_(POSITIONS_WEIGHT / words.std(dim=1).mean())
        positions.sub_(positions[USUAL_POSITIONS].mean(dim=0))
        words.copy_((states - kept.bias) / kept.weight)
        embeddings.LayerNorm.load_state_dict(kept.state_dict())


def _read_end_pieces(tokenizer: str) -> tuple[int, int]:
    try:
        vocabulary = json.loads(tokenizer)["model"]["vocab"]
        return vocabulary[FIRST_PIECE], vocabulary[LAST_PIECE]
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"expected a tokeniser with {FIRST_PIECE} and {LAST_PIECE}, found none: {error}"
        ) from error


def _compute_states(base: Tower, num_layers: int, ends: tuple[int, int]) -> torch.Tensor:
    """Return each piece's state after `num_layers` layers, (pieces, hidden); the ends' is a mean."""
    first, last = ends
    parts = list(_compute_parts(base, num_layers, ends))
    states = torch.cat([part[:, 1] for part in parts])
    states[first], states[last] = (parts[0][:, place].mean(dim=0) for place in (0, 2))
    return states


@torch.no_grad()
def _compute_parts(base: Tower, num_layers: int, ends: tuple[int, int]) -> Iterator[torch.Tensor]:
    """Yield the states of first token, piece and last token, (BATCH, 3, hidden), for all pieces in turn."""
    first, last = ends
    pieces = torch.arange(base.bert.config.vocab_size)
    for part in torch.split(pieces, BATCH):
        ids = torch.stack([torch.full_like(part, first), part, torch.full_like(part, last)], dim=1)
        yield first_token.compute_states(base, ids, num_layers)
