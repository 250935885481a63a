"""Score a window of hits by their stored vectors, and order it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reranker.crossing import Crossing
from reranker.fusion import Fusion
from reranker.stored_vector import (
    FORMAT_VERSION,
    HEADER,
    ValueType,
    dequantised,
    packed_size,
    row_type,
)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Ranking:
    """A reordered window.

    `order` is (num_hits,) intp: positions in first-stage order, best first. `crossing` is (num_hits,) float32
    in first-stage order, NaN where a hit had no usable vector; `neutral` stood in for those. `fused` is
    (num_hits,) float64 in first-stage order: what the order was made from. `num_scored` counts the hits with
    a usable vector. `similarity` is (num_hits,) float32, to the best hits, where these had a vote (feedback);
    `neighbours` (num_hits,) float64, the nearest hits' mean fused value, where it had a share (smoothing).
    """

    order: npt.NDArray[np.intp]
    crossing: Floats
    fused: npt.NDArray[np.float64]
    num_scored: int
    neutral: float = 0.0
    similarity: Floats | None = None
    neighbours: npt.NDArray[np.float64] | None = None


def crossing_scores(
    query: Floats, packed: Sequence[bytes | None], crossing: Crossing, model_tag: int
) -> Floats:
    """Score hits by their packed vectors; several chunks count as their best one.

    Args:
        query: (dim,) float32, a unit vector.
        packed: num_hits stored vectors, None where a hit has none.
        crossing: the bundle's crossing layer.
        model_tag: the only tag that is accepted: vectors of another model are never compared.

    Returns:
        (num_hits,) float32, NaN where the vector is missing, of another model or dimension, or damaged.
    """
    scores = np.full(len(packed), np.nan, np.float32)
    for (type_code, _), positions in _alike(packed).items():
        group = b"".join([packed[i] for i in positions])  # type: ignore[misc]  # _alike leaves None out
        scores[positions] = _score_group(query, group, len(positions), type_code, crossing, model_tag)
    return scores


def best_chunks(query: Floats, packed: Sequence[bytes | None], crossing: Crossing, model_tag: int) -> Floats:
    """Return each hit's chunk of the highest crossing score, (num_hits, dim), NaN as `crossing_scores`."""
    best = np.full((len(packed), len(query)), np.nan, np.float32)
    for (type_code, _), positions in _alike(packed).items():
        group = b"".join([packed[i] for i in positions])  # type: ignore[misc]  # _alike leaves None out
        chunks, usable = _chunks(len(query), group, len(positions), type_code, model_tag)
        if usable.any():
            found = _best_of_each(query, chunks, crossing)
            best[positions] = found if usable.all() else np.where(usable[:, None], found, np.float32(np.nan))
    return best


def _best_of_each(query: Floats, chunks: Floats, crossing: Crossing) -> Floats:
    """Return (num_hits, dim) of (num_hits, num_chunks, dim)."""
    if chunks.shape[1] == 1:
        return chunks[:, 0]
    scores = crossing(query, chunks.reshape(-1, len(query))).reshape(chunks.shape[:2])
    best: Floats = chunks[np.arange(len(chunks)), scores.argmax(axis=1)]
    return best


def rank(first_stage: npt.NDArray[np.float64], crossing: Floats, fusion: Fusion) -> Ranking:
    """Fuse (num_hits,) first-stage and crossing scores and order the window, ties in first-stage order.

    A hit without a crossing score gets a neutral one, the window's median, so that it keeps the place which
    its first-stage score earns and is never dropped.

    Raises:
        ScoresError: first-stage scores that the fusion is not defined for.
    """
    scored = np.isfinite(crossing)
    num_scored = int(scored.sum())
    neutral = float(np.median(crossing[scored])) if num_scored else 0.0
    filled = np.where(scored, crossing, neutral).astype(np.float64)
    fused = fusion(first_stage, filled)
    return Ranking(np.argsort(-fused, kind="stable"), crossing, fused, num_scored, neutral)


def _alike(packed: Sequence[bytes | None]) -> dict[tuple[int, int], list[int]]:
    """Group positions by value type and length, so that each group is read as one array."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for position, value in enumerate(packed):
        if value is not None and len(value) > HEADER.size:
            groups[value[1], len(value)].append(position)
    return groups


def _score_group(
    query: Floats, group: bytes, num_hits: int, type_code: int, crossing: Crossing, model_tag: int
) -> Floats:
    """Return (num_hits,) scores of equally long stored vectors, NaN where one is unusable."""
    chunks, usable = _chunks(len(query), group, num_hits, type_code, model_tag)
    if not usable.any():
        return np.full(num_hits, np.nan, np.float32)
    best = crossing(query, chunks.reshape(-1, len(query))).reshape(chunks.shape[:2]).max(axis=1)
    return np.where(usable, best, np.float32(np.nan))


def _chunks(
    dim: int, group: bytes, num_hits: int, type_code: int, model_tag: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return (num_hits, num_chunks, dim) of equally long stored vectors, and (num_hits,) which are usable."""
    length, none = len(group) // num_hits, np.zeros(num_hits, np.bool_)
    if type_code not in tuple(ValueType):
        return np.zeros((num_hits, 0, dim), np.float32), none
    value_type = ValueType(type_code)
    num_chunks = (length - HEADER.size) // (packed_size(dim, 1, value_type) - HEADER.size)
    if num_chunks == 0 or packed_size(dim, num_chunks, value_type) != length:
        return np.zeros((num_hits, 0, dim), np.float32), none
    rows = np.frombuffer(group, row_type(dim, num_chunks, value_type))
    values, sound = dequantised(rows, value_type)
    usable = sound & _readable(rows, dim, num_chunks, model_tag)
    return values.reshape(num_hits, num_chunks, dim), usable


def _readable(rows: npt.NDArray[np.void], dim: int, num_chunks: int, model_tag: int) -> npt.NDArray[np.bool_]:
    readable: npt.NDArray[np.bool_] = (
        (rows["version"] == FORMAT_VERSION)
        & (rows["zero"] == 0)
        & (rows["dim"] == dim)
        & (rows["chunks"] == num_chunks)
        & (rows["model_tag"] == model_tag)
    )
    return readable
