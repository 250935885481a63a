"""Embedding alignment: a small query tower learns to give a bigger tower's vectors, from queries alone."""

from collections.abc import Sequence

import numpy as np
import torch

from model_export.model.tower import Tower
from model_export.quantize import Floats
from model_export.train import first_token
from model_export.train.losses import alignment
from model_export.train.vectors import encoded
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
