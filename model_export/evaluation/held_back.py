"""Whether a bundle is better than another on queries that it never saw."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.collection import JudgedCollection
from model_export.evaluation.measures import estimate_interval, measure_queries
from model_export.evaluation.shipped import rank_as_shipped
from reranker.arrays import Floats64
from reranker.bundle import Bundle

MEASURE = "nDCG@10"


@dataclass(frozen=True)
class HeldBackResult:
    """nDCG@10 of BM25 and of two bundles as searches order, by query: (queries,) each."""

    first_stage: Floats64
    before: Floats64
    after: Floats64

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % bootstrap interval of the difference between the bundles."""
        return estimate_interval([self.after - self.before])

    def format(self, before: str, after: str) -> Iterator[str]:
        """Yield the result in lines."""
        low, high = self.interval
        difference = self.after - self.before
        won, lost = int((difference > 0).sum()), int((difference < 0).sum())
        yield f"{MEASURE} on {len(difference)} held-back queries, against clicks:"
        for name, values in (("BM25", self.first_stage), (before, self.before), (after, self.after)):
            yield f"  {name}: {values.mean():.4f}"
        yield f"  difference {difference.mean():+.4f}, 95 % interval {low:+.4f} to {high:+.4f};"
        yield f"  {won} queries better, {lost} worse"
        if low > 0:
            yield f"{after} is better: ship it"
        elif high < 0:
            yield f"{after} is worse: keep {before}"
        else:
            yield f"no difference can be seen: keep {before}, or learn from more clicks"


def compare_on_held_back(
    data: JudgedCollection, before: Bundle, after: Bundle, cache: Path
) -> HeldBackResult:
    """Measure two bundles, both with the fusion of the first, on a collection.

    Vectors of documents are kept in `cache`.
    """
    fusion = before.manifest.fusion
    runs = [data.hits, *(rank_as_shipped(each, data, [fusion], cache)[0] for each in (before, after))]
    first, earlier, later = (np.nan_to_num(measure_queries(data, run)[MEASURE]) for run in runs)
    return HeldBackResult(first, earlier, later)
