"""A window's stored vectors, read once for crossing, feedback and smoothing."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reranker.arrays import Floats, Positions
from reranker.crossing import Crossing
from reranker.stored_vector import (
    FORMAT_VERSION,
    HEADER,
    ValueType,
    dequantise,
    packed_size,
    row_type,
)

_NOWHERE = -1


@dataclass(frozen=True)
class _Group:
    """Equally long stored vectors: the hits (num,) that have them, chunks (num, num_chunks, dim)."""

    hits: Positions
    chunks: Floats
    usable: npt.NDArray[np.bool_]


class WindowVectors:
    """The vectors of a window's hits; one that is missing, of another model or damaged is none.

    Args:
        packed: num_hits stored vectors, None for a hit without one.
        dim: the query vector's; one of another dimension is not usable.
        model_tag: the only tag that is accepted: vectors of another model are never compared.
    """

    def __init__(self, packed: Sequence[bytes | None], *, dim: int, model_tag: int) -> None:
        self._num_hits = len(packed)
        self._groups = [
            _read_group(packed, hits, type_code, dim, model_tag)
            for (type_code, _), hits in _group_alike(packed).items()
        ]

    def scores(self, query: Floats, crossing: Crossing) -> Floats:
        """Score all hits; several chunks count as their best one.

        Args:
            query: (dim,) float32, a unit vector.
            crossing: the bundle's crossing layer.

        Returns:
            (num_hits,) float32, NaN for a hit without a usable vector.
        """
        scores = np.full(self._num_hits, np.nan, np.float32)
        for group in self._groups:
            if group.usable.any():
                of_chunks = crossing(query, group.chunks.reshape(-1, len(query)))
                best = of_chunks.reshape(group.chunks.shape[:2]).max(axis=1)
                scores[group.hits] = np.where(group.usable, best, np.float32(np.nan))
        return scores

    def best_chunks(self, query: Floats, crossing: Crossing, hits: Positions) -> Floats:
        """Return the chunk of the highest crossing score of each of these hits.

        Returns:
            (len(hits), dim) float32, NaN for a hit without a usable vector.
        """
        found = np.full((len(hits), len(query)), np.nan, np.float32)
        for group in self._groups:
            rows = np.full(self._num_hits, _NOWHERE)
            rows[group.hits] = np.where(group.usable, np.arange(len(group.hits)), _NOWHERE)
            there = np.flatnonzero(rows[hits] != _NOWHERE)
            if len(there):
                found[there] = _select_best_chunks(query, group.chunks[rows[hits[there]]], crossing)
        return found


def score_vectors(
    query: Floats, packed: Sequence[bytes | None], crossing: Crossing, model_tag: int
) -> Floats:
    """Score hits by their stored vectors; several chunks count as their best one.

    Args:
        query: (dim,) float32, a unit vector.
        packed: num_hits stored vectors, None for a hit without one.
        crossing: the bundle's crossing layer.
        model_tag: the only tag that is accepted: vectors of another model are never compared.

    Returns:
        (num_hits,) float32, NaN if the vector is missing, of another model or dimension, or damaged.
    """
    return WindowVectors(packed, dim=len(query), model_tag=model_tag).scores(query, crossing)


def _select_best_chunks(query: Floats, chunks: Floats, crossing: Crossing) -> Floats:
    """Return (num_hits, dim) of (num_hits, num_chunks, dim)."""
    if chunks.shape[1] == 1:
        return chunks[:, 0]
    scores = crossing(query, chunks.reshape(-1, len(query))).reshape(chunks.shape[:2])
    best: Floats = chunks[np.arange(len(chunks)), scores.argmax(axis=1)]
    return best


def _group_alike(packed: Sequence[bytes | None]) -> dict[tuple[int, int], list[int]]:
    """Group positions by value type and length, so that each group is read as one array."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for position, value in enumerate(packed):
        if value is not None and len(value) > HEADER.size:
            groups[value[1], len(value)].append(position)
    return groups


def _read_group(
    packed: Sequence[bytes | None], positions: list[int], type_code: int, dim: int, model_tag: int
) -> _Group:
    hits, length = np.array(positions, np.intp), len(packed[positions[0]] or b"")
    none = _Group(hits, np.zeros((len(hits), 0, dim), np.float32), np.zeros(len(hits), np.bool_))
    if type_code not in tuple(ValueType):
        return none
    value_type = ValueType(type_code)
    num_chunks = (length - HEADER.size) // (packed_size(dim, 1, value_type) - HEADER.size)
    if num_chunks == 0 or packed_size(dim, num_chunks, value_type) != length:
        return none
    joined = b"".join([packed[i] for i in positions])  # type: ignore[misc]  # _alike leaves None out
    rows = np.frombuffer(joined, row_type(dim, num_chunks, value_type))
    values, sound = dequantise(rows, value_type)
    usable = sound & _find_readable(rows, dim, num_chunks, model_tag)
    return _Group(hits, values.reshape(len(hits), num_chunks, dim), usable)


def _find_readable(
    rows: npt.NDArray[np.void], dim: int, num_chunks: int, model_tag: int
) -> npt.NDArray[np.bool_]:
    readable: npt.NDArray[np.bool_] = (
        (rows["version"] == FORMAT_VERSION)
        & (rows["zero"] == 0)
        & (rows["dim"] == dim)
        & (rows["chunks"] == num_chunks)
        & (rows["model_tag"] == model_tag)
    )
    return readable
