"""Fewer dimensions, by one rotation of both towers' vectors."""

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from model_export.errors import ExportError
from model_export.model.base import Base
from model_export.model.base_tokenizer import TOKENIZER_FILE
from model_export.model.crossing import CosineCrossing
from model_export.model.tokens import tokenise
from model_export.model.tower import Tower
from model_export.model.vectors import encode_tokens
from reranker.arrays import Floats


def fit_rotation(vectors: Floats, dim: int) -> Floats:
    """Return the directions in which vectors (n, wide) vary most: (dim, wide), orthonormal rows.

    Principal components without centring: no other `dim` numbers keep dot products better (Eckart and Young
    1936). The rows' signs are fixed, so that the same vectors give the same rotation.

    Raises:
        ExportError: there are fewer vectors, or values in a vector, than `dim`.
    """
    if not 1 <= dim <= min(vectors.shape):
        raise ExportError(f"expected at least {dim} vectors of at least {dim} values, found {vectors.shape}")
    _, directions = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    best = directions[:, ::-1][:, :dim].T
    signs = np.sign(best[np.arange(dim), np.abs(best).argmax(axis=1)])
    rows: Floats = (best * signs[:, None]).astype(np.float32)
    return rows


def encode_sample(base: Base, texts: Sequence[str], limit: int = 2000) -> Floats:
    """Return the base's vectors of the first `limit` documents: (documents, wide)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / TOKENIZER_FILE
        file.write_text(base.tokenizer)
        return encode_tokens(
            base.document, tokenise(base.document, file, texts[:limit], prefix="", max_tokens=256)
        )


def reduce_dimensions(base: Base, rows: Floats) -> Base:
    """Return the base with both towers rotated by `rows` (dim, wide), before vectors are normalised.

    Raises:
        ExportError: the crossing is residual: its weights have the old dimension.
    """
    if not isinstance(base.crossing, CosineCrossing):
        raise ExportError("expected a cosine crossing to reduce, found a residual one: train it with `dim`")
    query = rotate_tower(base.query, rows)
    document = query if base.is_shared else rotate_tower(base.document, rows)
    name = f"{base.name}-{len(rows)}"
    return replace(base, name=name, query=query, document=document)


def rotate_tower(tower: Tower, rows: Floats) -> Tower:
    """Return a copy whose vectors are multiplied by `rows` (dim, wide), then normalised."""
    copied = copy.deepcopy(tower)
    matrix = torch.from_numpy(rows)
    if tower.projection is not None:
        matrix = matrix @ tower.projection.weight.detach().cpu()
    copied.projection = nn.Linear(matrix.shape[1], matrix.shape[0], bias=False)
    copied.projection.weight = nn.Parameter(matrix)
    return copied
