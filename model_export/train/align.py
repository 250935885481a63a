"""Embedding alignment: a small query tower learns a larger tower's vectors, from queries alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from model_export.errors import TrainingError
from model_export.model import first_token
from model_export.model.base import load_base
from model_export.model.tower import Tower
from model_export.model.vectors import encode_as_search, encode_once, encode_tokens
from model_export.train.config import RunSection
from model_export.train.device import choose_device, use_precision
from model_export.train.losses import alignment
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.encoder import Ids
from reranker.errors import BundleError


class Alignment:
    """The loss is the mean of 1 - cos(student, target), the measure the mean cosine on unseen queries.

    The student learns from `ids` and `targets` (texts, dim); the other two are for the measure.

    Raises:
        TrainingError: the targets do not have the dimension of the tower's vectors.
    """

    measure_name = "mean cosine"

    def __init__(
        self, tower: Tower, ids: Sequence[Ids], targets: Floats, dev_ids: Sequence[Ids], dev_targets: Floats
    ) -> None:
        if targets.shape[1] != tower.dim:
            raise TrainingError(
                f"expected vectors of {tower.dim} values to learn, as the query tower gives, found"
                f" {targets.shape[1]}: name another bundle, or another base"
            )
        self.module = tower
        self.lengths: Sequence[int] = [len(each) for each in ids]
        self._ids = ids
        self._targets = targets
        self._dev = (dev_ids, dev_targets)

    def compute_loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the mean of 1 - cos over the texts of these numbers."""
        found = first_token.encode(self.module, [self._ids[i] for i in rows])
        return alignment(found, torch.from_numpy(self._targets[list(rows)]).to(found.device))

    def measure(self) -> float:
        """Return the mean cosine with the targets on the development queries."""
        ids, targets = self._dev
        return float(np.vecdot(encode_tokens(self.module, ids), targets).mean())


def encode_with_base(base: str, run: RunSection, ids: Sequence[Ids], folder: Path, *, what: str) -> Floats:
    """Return the vectors of a base's query tower, (texts, dim) float32, cached in `folder`.

    Raises:
        ExportError: the base cannot be loaded.
    """
    whole, device = load_base(base).query, choose_device(run.device)
    with use_precision(run.precision, device):
        return encode_once(partial(encode_tokens, whole.to(device)), ids, folder, what=what)


def encode_with_bundle(
    place: str, run: RunSection, texts: Sequence[str], folder: Path, *, what: str
) -> Floats:
    """Return the vectors that a bundle gives in searches, (texts, dim) float32, cached below `folder`.

    Raises:
        TrainingError: the bundle cannot be used.
    """
    try:
        bundle = Bundle.open(Path(place))
    except BundleError as error:
        raise TrainingError(f"expected a bundle to learn from in distil.bundle, found: {error}") from error
    own = folder / bundle.manifest.query_digest[:12]
    return encode_once(partial(encode_as_search, bundle, threads=run.threads), texts, own, what=what)
