"""What the formulas say of a window, computed the plain way."""

import base64
import math
from typing import Any

import numpy as np

from reranker.stored_vector import unpack
from tests.support.indices.toy_index import ToyIndex

Numbers = dict[str, float]


class Expected:
    """What the formulas say of a first-stage window, by id.

    The proxy scores with the query rounded to the integers that `cluster` has: cosines differ by up to 4e-6.
    """

    def __init__(self, toy: ToyIndex, hits: list[dict[str, Any]], weight: float | None = None) -> None:
        query = toy.bundle.load_query_encoder()(toy.query_text)
        self.ids = [hit["_id"] for hit in hits]
        self.first = {hit["_id"]: hit["_score"] for hit in hits}
        stored = self.stored = {
            hit["_id"]: unpack(base64.b64decode(hit["_source"]["rerank"]["vector"])) for hit in hits
        }
        self.crossing = {name: float((each.values @ query).max()) for name, each in stored.items()}
        self.best_chunk = {name: each.values[(each.values @ query).argmax()] for name, each in stored.items()}
        self.weight = toy.bundle.manifest.fusion.weight if weight is None else weight
        cosine = toy.bundle.manifest.crossing
        self.probability = {
            name: 1 / (1 + math.exp(-(cosine.scale * c + cosine.offset))) for name, c in self.crossing.items()
        }

    def fused(self, method: str, *, share: float = 0.9, constant: int = 60) -> Numbers:
        first, crossing = self.first, self.crossing
        if method == "log_linear":
            is_scoreless = not any(first.values())
            return {
                name: (1 if is_scoreless else first[name]) * math.exp(self.weight * (1 + crossing[name]))
                for name in self.ids
            }
        if method == "weighted":
            scaled, scaled_crossing = _scaled(first), _scaled(crossing)
            return {name: (1 - share) * scaled[name] + share * scaled_crossing[name] for name in self.ids}
        if method == "rrf":
            ranks = {name: 1 + sum(c > crossing[name] for c in crossing.values()) for name in self.ids}
            return {
                name: 1 / (constant + 1 + position) + 1 / (constant + ranks[name])
                for position, name in enumerate(self.ids)
            }
        return self.probability

    def smoothed(self, fused: Numbers, share: float) -> Numbers:
        """Return values of `log_linear`, a share of each being the ten nearest hits' geometric mean."""
        found = {}
        for name, chunk in self.best_chunk.items():
            cosine = {other: float(chunk @ each) for other, each in self.best_chunk.items()}
            nearest = sorted(cosine, key=lambda other: -cosine[other])[:10]
            weights = [math.exp(10 * cosine[other]) for other in nearest]
            logs = [math.log(fused[other]) for other in nearest]
            found[name] = fused[name] ** (1 - share) * math.exp(share * np.average(logs, weights=weights))
        return found

    def with_feedback(self, weight: float) -> Numbers:
        """Return `log_linear`'s values with the three best hits as feedback documents."""
        fused = self.fused("log_linear")
        best = sorted(fused, key=lambda name: -fused[name])[:3]
        total = sum(fused[name] for name in best)
        mean = sum(fused[name] / total * self.best_chunk[name] for name in best)
        return {
            name: fused[name] * math.exp(self.weight * weight * (1 + float((each.values @ mean).max())))
            for name, each in self.stored.items()
        }


def _scaled(values: Numbers) -> Numbers:
    low, high = min(values.values()), max(values.values())
    return {name: (value - low) / (high - low) if high > low else 0.0 for name, value in values.items()}
