"""What an experiment has shown so far: who wins, by how much, or how much is still missing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from opensearch.settings.experiment import INTERLEAVED, ExperimentMode
from plugin.experiments.clicks import MAX_CLICKS, Click, ClickCounts, Impression, JoinedClicks, join_clicks
from plugin.experiments.confidence import (
    ALPHA,
    MIN_UNITS,
    Estimate,
    estimate_difference,
    estimate_preference,
    find_units_needed,
)
from plugin.experiments.sample_ratio import MISMATCH, compute_equality
from reranker.arrays import Floats64

Verdict = Literal["treatment", "control", "open", "too_few", "mismatch"]
"""Which arm wins; `open`: the interval includes 0; `too_few`: too few units for an interval; `mismatch`: the
split is not as it should be, so there is no verdict."""


@dataclass(frozen=True)
class ArmActivity:
    """One arm's units, their searches and clicks; `rate` is the mean over units of clicks a search.

    Of interleaved pages `clicks` are those that count for the arm, and there is no rate.
    """

    name: str
    units: int
    searches: int
    clicks: int
    rate: float | None


@dataclass(frozen=True)
class ArmComparison:
    """A treatment compared with the control.

    Attributes:
        treatment: its name.
        verdict: who wins, or why nobody does.
        estimate: `split`: the treatment's clicks a search minus the control's, means over units;
            `interleave`: the mean over units of 1 where a search's clicks prefer the treatment, and -1 where
            they prefer the control. None if there are too few units.
        units_missing: how many further units would decide if all else stays; None if that cannot be said.
        clicks_missing: the same in clicks.
    """

    treatment: str
    verdict: Verdict
    estimate: Estimate | None
    units_missing: int | None = None
    clicks_missing: int | None = None


@dataclass(frozen=True)
class ShadowSummary:
    """How far an arm's order is from the control's, which was shown: means over `pages` first pages.

    `overlap` is the share of the first ten hits that both have there, `tau` is Kendall's, `moved` how many of
    the ten have another rank in the arm's order, `mean_change` by how many ranks they move.
    """

    arm: str
    pages: int
    overlap: float
    tau: float
    moved: float
    mean_change: float


@dataclass(frozen=True)
class ExperimentReport:
    """The state of one run of an experiment.

    `sample_ratio_p` is the chance of a split at least as uneven as this one; None for too few units.
    `started` and `ended` are the times of its first and last page; `other_runs` is how many runs with other
    settings the experiment has, which are not in this report. `shadow` compares orders without clicks.
    """

    name: str
    mode: ExperimentMode
    run: str
    control: str
    arms: tuple[ArmActivity, ...]
    comparisons: tuple[ArmComparison, ...]
    sample_ratio_p: float | None
    clicks: ClickCounts
    crossed_units: int
    max_clicks: int
    started: str = ""
    ended: str = ""
    other_runs: int = 0
    shadow: tuple[ShadowSummary, ...] = ()

    @property
    def is_mismatched(self) -> bool:
        """Whether the split is not as it should be."""
        return self.sample_ratio_p is not None and self.sample_ratio_p < MISMATCH

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        return asdict(self)


def build_report(
    name: str,
    mode: ExperimentMode,
    run: str,
    arms: Sequence[str],
    impressions: Iterable[Impression],
    clicks: Iterable[Click],
    max_clicks: int = MAX_CLICKS,
) -> ExperimentReport:
    """Return what the pages and clicks of one run say.

    Args:
        name: the experiment's.
        mode: the experiment's.
        run: names the run.
        arms: their names, the control's first.
        impressions: the pages of this run.
        clicks: the earliest first; those of other searches too.
        max_clicks: clicks of one unit that count.
    """
    pages = list(impressions)
    joined = join_clicks(pages, clicks, max_clicks=max_clicks)
    activities, estimates, counts = _READ[mode](joined, arms)
    p = compute_equality(counts)
    is_mismatched = p is not None and p < MISMATCH
    per_unit = joined.clicks.counted / max(1, len(joined.units))
    return ExperimentReport(
        name, mode, run, arms[0], tuple(activities),
        tuple(
            _judge(treatment, estimate, _share_alpha(arms), per_unit, is_mismatched=is_mismatched)
            for treatment, estimate in zip(arms[1:], estimates, strict=False)
        ),
        p, joined.clicks, joined.crossed_units, max_clicks,
        shadow=tuple(_summarise_shadow(pages, arm) for arm in arms[1:]) if mode == "shadow" else (),
    )  # fmt: skip


def _summarise_shadow(pages: Sequence[Impression], arm: str) -> ShadowSummary:
    found = [page.shadow[arm] for page in pages if arm in page.shadow]
    values = [(each.overlap, each.tau, each.moved, each.mean_change) for each in found]
    means = np.mean(values, axis=0).tolist() if values else [0.0] * 4
    return ShadowSummary(arm, len(found), *means)


def _share_alpha(arms: Sequence[str]) -> float:
    """Return the chance of a false alarm of each comparison, so that all together have ALPHA (Bonferroni)."""
    return ALPHA / max(1, len(arms) - 1)


def _judge(
    treatment: str, estimate: Estimate | None, alpha: float, per_unit: float, *, is_mismatched: bool
) -> ArmComparison:
    if is_mismatched:
        return ArmComparison(treatment, "mismatch", estimate)
    if estimate is None:
        return ArmComparison(treatment, "too_few", None)
    if estimate.sign:
        return ArmComparison(treatment, "treatment" if estimate.sign > 0 else "control", estimate)
    needed = find_units_needed(estimate, alpha)
    missing = None if needed is None else max(1, needed - estimate.num_units)
    in_clicks = None if missing is None else round(missing * per_unit)
    return ArmComparison(treatment, "open", estimate, missing, in_clicks)


Reading = tuple[list[ArmActivity], list[Estimate | None], list[int]]
"""The arms, each treatment's estimate, and the counts that should be equal."""


def _read_split(joined: JoinedClicks, arms: Sequence[str]) -> Reading:
    by_arm = {arm: [unit for unit in joined.units.values() if unit.arm == arm] for arm in arms}
    rates: dict[str, Floats64] = {
        arm: np.array([unit.clicks_per_search for unit in units], np.float64) for arm, units in by_arm.items()
    }
    activities = [
        ArmActivity(
            arm,
            len(units),
            sum(len(unit.searches) for unit in units),
            sum(unit.num_clicks for unit in units),
            float(rates[arm].mean()) if units else None,
        )
        for arm, units in by_arm.items()
    ]
    alpha = _share_alpha(arms)
    estimates = [estimate_difference(rates[arms[0]], rates[arm], alpha) for arm in arms[1:]]
    return activities, estimates, [len(units) for units in by_arm.values()]


def _read_interleaved(joined: JoinedClicks, arms: Sequence[str]) -> Reading:
    control, treatment = arms
    units = [unit for unit in joined.units.values() if unit.arm == INTERLEAVED]
    num_searches = sum(len(unit.searches) for unit in units)
    activities = [
        ArmActivity(
            arm,
            len(units),
            num_searches,
            sum(credit[arm] for unit in units for credit in unit.credits.values()),
            None,
        )
        for arm in arms
    ]
    preferences = (unit.prefers(treatment, control) for unit in units)
    values = np.array([each for each in preferences if each is not None], np.float64)
    return activities, [estimate_preference(values, _share_alpha(arms))], [joined.leads[arm] for arm in arms]


def _read_shadow(joined: JoinedClicks, arms: Sequence[str]) -> Reading:
    """Return the control alone: nobody saw another arm, so clicks compare none."""
    activities, _, _ = _read_split(joined, arms[:1])
    return activities, [], []


_READ: dict[ExperimentMode, Callable[[JoinedClicks, Sequence[str]], Reading]] = {
    "interleave": _read_interleaved,
    "shadow": _read_shadow,
    "split": _read_split,
}

__all__ = ["MIN_UNITS", "ArmActivity", "ArmComparison", "ExperimentReport", "Verdict", "build_report"]
