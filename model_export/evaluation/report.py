"""The quality section: tables of systems by collection, with intervals, calibration and gains."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

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


def measure_errors(system: System, collections: Sequence[JudgedCollection]) -> list[float]:
    """Return the calibration error on each collection, NaN for a system without probabilities."""
    found = []
    for data, run in zip(collections, system.runs, strict=True):
        alone = replace(system, runs=(run,))
        fit = measure_calibration(alone, [data])
        found.append(fit.error if fit is not None else float("nan"))
    return found


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
    yield ""
    yield from _format_bad_hits(systems, figures, collections)
    yield ""
    yield from _format_errors(systems, collections)


def _format_bad_hits(
    systems: Sequence[System], figures: Sequence[SystemMeasures], collections: Sequence[JudgedCollection]
) -> Iterator[str]:
    """Yield how many more or fewer of the judged hits are bad than in the first stage's first ten."""
    yield f"Bad hits among the judged of the first ten, compared with {systems[0].name}."
    yield ""
    yield _format_row("", [data.name for data in collections])
    yield _format_row("---", ["---:"] * len(collections))
    first = [float(np.nanmean(each["bad/judged@10"])) for each in figures[0]]
    for system, of_system in zip(systems[1:], figures[1:], strict=True):
        shares = [float(np.nanmean(each["bad/judged@10"])) for each in of_system]
        yield _format_row(system.name, list(map(_format_change, first, shares)))


def _format_errors(systems: Sequence[System], collections: Sequence[JudgedCollection]) -> Iterator[str]:
    """Yield the calibration errors of the systems that have probabilities."""
    yield "Calibration error by collection; a hit without a judgement counts as not relevant."
    yield ""
    yield _format_row("", [*(data.name for data in collections), "mean"])
    yield _format_row("---", ["---:"] * (len(collections) + 1))
    for system in systems:
        if system.crossing is not None:
            errors = measure_errors(system, collections)
            yield _format_row(system.name, [f"{error:.3f}" for error in [*errors, np.mean(errors)]])


def _compute_gains(systems: Sequence[System], figures: Sequence[SystemMeasures]) -> dict[str, float]:
    quality = [average_collections([each["nDCG@10"] for each in of_system]) for of_system in figures]
    return {system.name: value - quality[0] for system, value in zip(systems, quality, strict=True)}


def _format_change(before: float, after: float) -> str:
    """Return the change in per cent, empty if there is nothing to compare with."""
    return f"{100 * (after / before - 1):+.0f} %" if before > 0 else ""


def _format_row(head: str, cells: Sequence[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"
