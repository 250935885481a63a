"""An experiment's report as a person reads it."""

from collections.abc import Iterator, Sequence

from plugin.experiments.confidence import MIN_UNITS
from plugin.experiments.report import ArmActivity, ArmComparison, ExperimentReport
from plugin.experiments.sample_ratio import MISMATCH

_COLUMNS = ("arm", "units", "searches", "clicks", "clicks a search")


def format_report(report: ExperimentReport) -> str:
    """Return the report as lines of text."""
    return "\n".join([*_describe_head(report), "", *_format_arms(report.arms), "", *_describe_end(report)])


def _describe_head(report: ExperimentReport) -> Iterator[str]:
    yield f"experiment {report.name} ({report.mode}), run {report.run}"
    if report.started:
        yield f"from {report.started} to {report.ended}"
    if report.other_runs:
        yield (
            f"not in this report: {report.other_runs} other runs, since other settings or another bundle make"
            " another run"
        )


def _format_arms(arms: Sequence[ArmActivity]) -> Iterator[str]:
    rows = [_COLUMNS, *(_row(arm) for arm in arms)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others])


def _row(arm: ArmActivity) -> tuple[str, ...]:
    rate = "-" if arm.rate is None else f"{arm.rate:.3f}"
    return arm.name, f"{arm.units:,}", f"{arm.searches:,}", f"{arm.clicks:,}", rate


def _describe_end(report: ExperimentReport) -> Iterator[str]:
    for each in report.comparisons:
        yield describe_comparison(report, each)
    if not report.is_mismatched and report.sample_ratio_p is not None:
        yield f"The split is as it should be (p = {report.sample_ratio_p:.2g})."
    for other in report.shadow:
        yield (
            f"{other.arm} against {report.control}, over {other.pages:,} first pages: of ten hits"
            f" {other.overlap:.0%} are the same, {other.moved:.1f} have another rank, by"
            f" {other.mean_change:.1f} ranks on average; Kendall's tau of the window is {other.tau:.2f}."
        )
    yield from _describe_left_out(report)
    if report.comparisons:
        yield "Intervals are of 95 % confidence, however often you look."


def describe_comparison(report: ExperimentReport, found: ArmComparison) -> str:
    """Return in a sentence or two who wins, or why nobody does."""
    names, estimate = {"treatment": found.treatment, "control": report.control}, found.estimate
    if found.verdict == "mismatch":
        return (
            f"No verdict on {found.treatment}: the split is not as it should be"
            f" (p = {report.sample_ratio_p:.2g}, below {MISMATCH:g}). Find out which arm's searches are lost"
        )
    if estimate is None:
        return (
            f"Too few units for a verdict on {found.treatment}: at least {MIN_UNITS} with clicks are needed."
        )
    interval = f"{estimate.mean:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"
    what = (
        "mean preference over units, from -1 to 1"
        if report.mode == "interleave"
        else f"clicks a search, {found.treatment} minus {report.control}"
    )
    if found.verdict in names:
        return f"{names[found.verdict]} wins: {interval}, {what}."
    return f"No winner yet of {report.control} and {found.treatment}: {interval}, {what}. {_foretell(found)}"


def _foretell(found: ArmComparison) -> str:
    if found.units_missing is None:
        return "The two are too close for any number of units to tell."
    return (
        f"If the difference stays, about {found.units_missing:,} more units ({found.clicks_missing:,} clicks)"
        " decide."
    )


def _describe_left_out(report: ExperimentReport) -> Iterator[str]:
    clicks = report.clicks
    yield f"{clicks.counted:,} clicks count."
    for number, why in (
        (clicks.repeated, "repeated a click on the same hit of the same search"),
        (clicks.without_impression, "belong to searches that are not in this run"),
        (clicks.not_shown, "are on hits that their search did not show"),
        (
            clicks.above_limit,
            f"are beyond {report.max_clicks:,} of one unit, of which robots make more"
            f" ({clicks.limited_units:,} unit{'' if clicks.limited_units == 1 else 's'})",
        ),
    ):
        if number:
            yield f"Left out: {number:,} clicks that {why}."
    if report.crossed_units:
        yield f"Left out: {report.crossed_units:,} units with several arms, or with the query ids of others."
