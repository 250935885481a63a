"""The crossing layer: how a query vector and document vectors become scores (TwinBERT, section 3.3)."""

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from reranker.arrays import Floats
from reranker.errors import EXPORT_AGAIN, BundleError


class Crossing(Protocol):
    """What fusion and explanation need of a crossing layer."""

    def __call__(self, query: Floats, documents: Floats) -> Floats:
        """Score documents: (dim,) x (num_documents, dim) -> (num_documents,) float32, higher is better."""
        ...

    def probability(self, scores: Floats) -> Floats:
        """Return the calibrated probability of relevance of each score, in 0 to 1, same shape."""
        ...


@dataclass(frozen=True)
class Cosine:
    """The cosine crossing: score = cos(q, k), probability = sigmoid(scale * score + offset).

    Both towers give unit vectors, so the cosine is a dot product. Quantisation moves a stored vector's norm
    by less than 0.1 %, which changes no order that matters, so it is not divided out again.
    Source: TwinBERT (arXiv 2002.06275), equations 4 and 5.
    """

    scale: float
    offset: float

    def __call__(self, query: Floats, documents: Floats) -> Floats:
        """Score documents: (dim,) x (num_documents, dim) -> (num_documents,) float32 in -1 to 1."""
        # Not `documents @ query`: a matrix product gives equal rows unequal last bits by their position, and
        # two copies of a document would change places.
        scores: Floats = np.vecdot(documents, query)
        return scores

    def probability(self, scores: Floats) -> Floats:
        """Return sigmoid(scale * score + offset), same shape, float32."""
        return _sigmoid(self.scale * scores + self.offset)


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual crossing: x = max(q, k), r = w1 relu(w0 x + b0) + b1, z = w2 relu(r + x) + b2.

    score = z[1] - z[0], the logit of softmax(z)[1]; probability = sigmoid(scale * score + offset), which is
    softmax(z)[1] itself before calibration (scale 1, offset 0). All weights are float32:
    w0 (hidden, dim), b0 (hidden,), w1 (dim, hidden), b1 (dim,), w2 (2, dim), b2 (2,).
    Source: TwinBERT (arXiv 2002.06275), section 3.3, with the element-wise maximum to combine the towers.
    """

    w0: Floats
    b0: Floats
    w1: Floats
    b1: Floats
    w2: Floats
    b2: Floats
    scale: float = field(default=1.0, kw_only=True)
    offset: float = field(default=0.0, kw_only=True)

    @classmethod
    def read(cls, file: Path, *, dim: int, hidden: int, scale: float, offset: float) -> "Residual":
        """Read the weights from a `.npz` file.

        Raises:
            BundleError: no such file, an array is missing, or not of the shape above, float32 and finite.
        """
        shapes: dict[str, tuple[int, ...]] = {
            "w0": (hidden, dim), "b0": (hidden,),
            "w1": (dim, hidden), "b1": (dim,),
            "w2": (2, dim), "b2": (2,),
        }  # fmt: skip
        arrays = _read_arrays(file)
        found = {name: array.shape for name, array in arrays.items()}
        sound = all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())
        if found != shapes or not sound:
            raise BundleError(
                f"{file}: expected finite float32 arrays {shapes}, found {found}. {EXPORT_AGAIN}"
            )
        return cls(**arrays, scale=scale, offset=offset)

    def write(self, file: Path) -> None:
        """Write the weights as a `.npz` file; the same weights give the same bytes."""
        np.savez(file, w0=self.w0, b0=self.b0, w1=self.w1, b1=self.b1, w2=self.w2, b2=self.b2)

    def __call__(self, query: Floats, documents: Floats) -> Floats:
        """Score documents: (dim,) x (num_documents, dim) -> (num_documents,) float32 logits."""
        # Each distinct document once: a matrix product gives equal rows unequal last bits by their position.
        places: dict[bytes, int] = {}
        firsts: list[int] = []
        rows = np.empty(len(documents), np.intp)
        for position, document in enumerate(documents):
            place = places.setdefault(document.tobytes(), len(firsts))
            if place == len(firsts):
                firsts.append(position)
            rows[position] = place
        distinct = documents[np.array(firsts, np.intp)]
        return self._logits(np.maximum(query, distinct))[rows]

    def probability(self, scores: Floats) -> Floats:
        """Return sigmoid(scale * score + offset), same shape, float32."""
        return _sigmoid(self.scale * scores + self.offset)

    def _logits(self, x: Floats) -> Floats:
        """(num_documents, dim) -> (num_documents,)."""
        block = np.maximum(x @ self.w0.T + self.b0, 0) @ self.w1.T + self.b1
        logits: Floats = np.maximum(block + x, 0) @ (self.w2[1] - self.w2[0]) + (self.b2[1] - self.b2[0])
        return logits


def _read_arrays(file: Path) -> dict[str, Floats]:
    try:
        # From memory: of a damaged zip numpy leaves the file open.
        stored = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
        return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise BundleError(f"expected crossing weights in {file}, found: {error}. {EXPORT_AGAIN}") from error


def _sigmoid(logits: Floats) -> Floats:
    with np.errstate(over="ignore"):  # exp may reach infinity, whose probability is the right one: 0
        return (1.0 / (1.0 + np.exp(-logits))).astype(np.float32)
