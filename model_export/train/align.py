"""Embedding alignment: a small query tower learns to give a bigger tower's vectors, from queries alone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from model_export.base import load
from model_export.model.tower import Tower
from model_export.quantize import Floats
from model_export.train import first_token
from model_export.train.config import Config
from model_export.train.device import device_of, products
from model_export.train.losses import alignment
from model_export.train.vectors import encoded, searched, vectors
from reranker.bundle import Bundle
from reranker.encoder import Ids


class Alignment:
    """The loss is the mean of 1 - cos(student, target); the measure the mean cosine on unseen queries.

    `ids` and `targets` (texts, dim) are what is learned from, the other two what is measured on.
    """

    measure_name = "mean cosine"

    def __init__(
        self, tower: Tower, ids: Sequence[Ids], targets: Floats, dev_ids: Sequence[Ids], dev_targets: Floats
    ) -> None:
        self.module = tower
        self.lengths: Sequence[int] = [len(each) for each in ids]
        self._ids = ids
        self._targets = targets
        self._dev = (dev_ids, dev_targets)

    def loss(self, rows: Sequence[int]) -> torch.Tensor:
        """Return the mean of 1 - cos over the texts of these numbers."""
        found = first_token.encode(self.module, [self._ids[i] for i in rows])
        return alignment(found, torch.from_numpy(self._targets[list(rows)]).to(found.device))

    def measure(self) -> float:
        """Return the mean cosine with the targets on the development queries."""
        ids, targets = self._dev
        return float(np.vecdot(encoded(self.module, ids), targets).mean())


def wanted(config: Config, texts: Sequence[str], ids: Sequence[Ids], folder: Path, *, what: str) -> Floats:
    """Return the vectors to learn, (texts, dim) float32: a bundle's or, where none is named, the base's.

    `ids` are the texts' tokens. What is in `folder` is not encoded again.

    Raises:
        BundleError, ExportError: bundle or base cannot be had.
    """
    if config.distil.bundle is not None:
        bundle = Bundle.open(Path(config.distil.bundle))
        return vectors(partial(searched, bundle, threads=config.run.threads), texts, folder, what=what)
    whole, device = load(config.model.base or "").query, device_of(config.run.device)
    with products(config.run.precision, device):
        return vectors(partial(encoded, whole.to(device)), ids, folder, what=what)
