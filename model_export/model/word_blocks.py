"""Weights in 4-bit blocks (Q4_0): 32 weights share a scale, and have 4 bits each."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reranker.arrays import Floats

BLOCK = 32
"""How many weights of a row share a scale."""

MIDDLE = 8
"""The value of 4 bits that means 0."""

LOW_BITS = 15
"""Selects the first half of a block's weights from its bytes; the other four bits are the second half."""

BYTES = np.dtype([("scale", "<f2"), ("bits", "u1", (BLOCK // 2,))])
"""How a block lies in a file: a float16, then a byte for the weights i and i + 16."""


@dataclass(frozen=True)
class WordBlocks:
    """A matrix in 4-bit blocks: weight i of a block is scale * (its 4 bits - 8).

    bits (rows, blocks, 16) uint8: byte i of a block has weight i in its low bits and i + 16 in its high ones.
    scales (rows, blocks, 1) float16.
    """

    bits: npt.NDArray[np.uint8]
    scales: npt.NDArray[np.float16]

    @classmethod
    def from_bytes(cls, data: bytes, columns: int) -> "WordBlocks":
        """Read blocks as they lie in a file, row by row.

        Raises:
            ValueError: they are not a whole number of rows of `columns` weights.
        """
        blocks = np.frombuffer(data, BYTES).reshape(-1, columns // BLOCK)
        return cls(np.ascontiguousarray(blocks["bits"]), np.ascontiguousarray(blocks["scale"])[..., None])

    @property
    def columns(self) -> int:
        """How many weights a row has."""
        return int(self.bits.shape[1]) * BLOCK

    def to_floats(self) -> Floats:
        """Return the weights: (rows, columns) float32, exactly what the blocks say."""
        integers = np.concatenate([self.bits & LOW_BITS, self.bits >> 4], axis=2).astype(np.float32) - MIDDLE
        floats: Floats = (integers * self.scales.astype(np.float32)).reshape(len(self.bits), self.columns)
        return floats
