"""The quality section: tables of systems by collection, with intervals, calibration and the gain kept."""

from collections.abc import Iterator, Sequence

import numpy as np

from model_export.data.collection import JudgedCollection
from model_export.evaluation.measures import (
    NAMES,
    Reliability,
    by_query,
    interval,
    macro,
    reliability,
)
from model_export.evaluation.systems import System
from reranker.arrays import Floats64

SystemMeasures = list[dict[str, Floats64]]
"""A system's measures, by collection."""


def measured(systems: Sequence[System], collections: Sequence[JudgedCollection]) -> list[SystemMeasures]:
    """Measure every system on every collection."""
    return [
        [by_query(data, run) for data, run in zip(collections, system.runs, strict=True)]
        for system in systems
    ]


def calibration(system: System, collections: Sequence[JudgedCollection]) -> Reliability | None:
    """Return how the probabilities of a system's hits fit the judgements, over all collections."""
    if system.crossing is None:
        return None
    scores, relevant = [], []
    for data, run in zip(collections, system.runs, strict=True):
        for query, hits in run.items():
            scores += list(hits.values())
            relevant += [data.qrels[query].get(hit, 0) > 0 for hit in hits]
    probabilities = system.crossing.probability(np.array(scores, np.float32)).astype(np.float64)
    return reliability(probabilities, np.array(relevant, bool))


def quality_lines(
    systems: Sequence[System], collections: Sequence[JudgedCollection], *, reference: str | None
) -> Iterator[str]:
    """Yield the Markdown of the section; the first system is the first stage.

    `reference` names the system whose gain over the first stage is 100 %.
    """
    figures = measured(systems, collections)
    yield "Mean over the collections (macro); in brackets the 95 % bootstrap interval of nDCG@10."
    yield ""
    kept = f"gain kept of {reference}" if reference else "gain"
    yield _row("", ["nDCG@10", "", *NAMES[1:], "calibration error", kept])
    yield _row("---", ["---:"] * (len(NAMES) + 3))
    gains = _gains(systems, figures)
    whole = gains.get(reference or "", float("nan"))
    for system, of_system in zip(systems, figures, strict=True):
        low, high = interval([each["nDCG@10"] for each in of_system])
        means = [macro([each[name] for each in of_system]) for name in NAMES]
        fit = calibration(system, collections)
        share = f"{100 * gains[system.name] / whole:.0f} %" if reference and system is not systems[0] else ""
        error = f"{fit.error:.3f}" if fit else ""
        cells = [f"{means[0]:.3f}", f"({low:.3f} to {high:.3f})", *(f"{each:.3f}" for each in means[1:])]
        yield _row(system.name, [*cells, error, share])
    yield ""
    yield "nDCG@10 by collection; in brackets how many queries were used."
    yield ""
    yield _row("", [f"{data.name} ({len(data.queries)})" for data in collections])
    yield _row("---", ["---:"] * len(collections))
    for system, of_system in zip(systems, figures, strict=True):
        yield _row(system.name, [f"{np.nanmean(each['nDCG@10']):.3f}" for each in of_system])


def _gains(systems: Sequence[System], figures: Sequence[SystemMeasures]) -> dict[str, float]:
    quality = [macro([each["nDCG@10"] for each in of_system]) for of_system in figures]
    return {system.name: value - quality[0] for system, value in zip(systems, quality, strict=True)}


def _row(head: str, cells: Sequence[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"
