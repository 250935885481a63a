"""The quality section: tables of systems by collection, with intervals, calibration and gains."""

from collections.abc import Iterator, Sequence

import numpy as np

from model_export.data.collection import JudgedCollection
from model_export.evaluation.measures import (
    NAMES,
    Reliability,
    average_collections,
    bin_probabilities,
    estimate_interval,
    measure_queries,
)
from model_export.evaluation.systems import System
from reranker.arrays import Floats64

SystemMeasures = list[dict[str, Floats64]]
"""A system's measures, by collection."""


def measure_systems(
    systems: Sequence[System], collections: Sequence[JudgedCollection]
) -> list[SystemMeasures]:
    """Measure every system on every collection."""
    return [
        [measure_queries(data, run) for data, run in zip(collections, system.runs, strict=True)]
        for system in systems
    ]


def measure_calibration(system: System, collections: Sequence[JudgedCollection]) -> Reliability | None:
    """Compare the probabilities of a system's hits with the judgements, over all collections."""
    if system.crossing is None:
        return None
    scores, relevant = [], []
    for data, run in zip(collections, system.runs, strict=True):
        for query, hits in run.items():
            scores += list(hits.values())
            relevant += [data.qrels[query].get(hit, 0) > 0 for hit in hits]
    probabilities = system.crossing.probability(np.array(scores, np.float32)).astype(np.float64)
    return bin_probabilities(probabilities, np.array(relevant, bool))


def format_quality(
    systems: Sequence[System], collections: Sequence[JudgedCollection], *, reference: str | None
) -> Iterator[str]:
    """Yield the Markdown of the section; the first system is the first stage.

    `reference` names the system whose gain over the first stage is 100 %.
    """
    figures = measure_systems(systems, collections)
    yield "Mean over the collections (macro); in brackets the 95 % bootstrap interval of nDCG@10."
    yield ""
    kept = f"gain kept of {reference}" if reference else "gain"
    yield _format_row("", ["nDCG@10", "", *NAMES[1:], "calibration error", kept])
    yield _format_row("---", ["---:"] * (len(NAMES) + 3))
    gains = _compute_gains(systems, figures)
    whole = gains.get(reference or "", float("nan"))
    for system, of_system in zip(systems, figures, strict=True):
        low, high = estimate_interval([each["nDCG@10"] for each in of_system])
        means = [average_collections([each[name] for each in of_system]) for name in NAMES]
        fit = measure_calibration(system, collections)
        share = f"{100 * gains[system.name] / whole:.0f} %" if reference and system is not systems[0] else ""
        error = f"{fit.error:.3f}" if fit else ""
        cells = [f"{means[0]:.3f}", f"({low:.3f} to {high:.3f})", *(f"{each:.3f}" for each in means[1:])]
        yield _format_row(system.name, [*cells, error, share])
    yield ""
    yield "nDCG@10 by collection; in brackets how many queries were used."
    yield ""
    yield _format_row("", [f"{data.name} ({len(data.queries)})" for data in collections])
    yield _format_row("---", ["---:"] * len(collections))
    for system, of_system in zip(systems, figures, strict=True):
        yield _format_row(system.name, [f"{np.nanmean(each['nDCG@10']):.3f}" for each in of_system])


def _compute_gains(systems: Sequence[System], figures: Sequence[SystemMeasures]) -> dict[str, float]:
    quality = [average_collections([each["nDCG@10"] for each in of_system]) for of_system in figures]
    return {system.name: value - quality[0] for system, value in zip(systems, quality, strict=True)}


def _format_row(head: str, cells: Sequence[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"
