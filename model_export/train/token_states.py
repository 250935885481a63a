"""Word embeddings that stand for a model's first layers: what these make of each word piece alone.

A tower of few layers then begins where the first layers end, at no cost to a query: a piece's row is its
state after those layers between the first token and the last, as in Model2Vec (Tulkens and van Dongen 2024,
which takes the last layer's), and training teaches the rows what the pieces around would have added.
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
"""The positions whose mean is taken off all: the states have it already."""
POSITIONS_WEIGHT = 0.3
"""What is left of the positions' weight beside the pieces': by trial, 1 and 0.1 were no better."""


def initialise_embeddings(tower: Tower, base: Tower, num_layers: int, tokenizer: str) -> None:
    """Give `tower`, whose layers follow the first `num_layers` of `base`, word embeddings of that depth.

    The embeddings' normalisation becomes that of the last of these layers, so that a row comes out as the
    state was.

    Raises:
        TrainingError: the base has not so many layers, is no word-piece tower, or its tokeniser names no
            first and last piece.
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
    """Return each piece's state after so many layers, (pieces, hidden); of the ends their mean."""
    first, last = ends
    parts = list(_compute_parts(base, num_layers, ends))
    states = torch.cat([part[:, 1] for part in parts])
    states[first], states[last] = (parts[0][:, place].mean(dim=0) for place in (0, 2))
    return states


@torch.no_grad()
def _compute_parts(base: Tower, num_layers: int, ends: tuple[int, int]) -> Iterator[torch.Tensor]:
    """Yield the states of first, piece and last, (BATCH, 3, hidden), for all pieces in turn."""
    first, last = ends
    pieces = torch.arange(base.bert.config.vocab_size)
    for part in torch.split(pieces, BATCH):
        ids = torch.stack([torch.full_like(part, first), part, torch.full_like(part, last)], dim=1)
        yield first_token.compute_states(base, ids, num_layers)
