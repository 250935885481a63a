"""The report in words: who wins, what is missing, and what was left out."""

from dataclasses import replace

import pytest

from plugin.experiments.clicks import ClickCounts
from plugin.experiments.confidence import Estimate
from plugin.experiments.report import ArmActivity, ArmComparison, ExperimentReport, Verdict
from plugin.experiments.report_text import format_report
from tests.support.experiments.simulated_users import Population

ESTIMATE = Estimate(0.121, 0.069, 0.173, 0.5, 2_140)
ARMS = (ArmActivity("control", 2_140, 5_210, 1_822, None), ArmActivity("reranked", 2_140, 5_210, 2_377, None))
REPORT = ExperimentReport(
    "autumn", "interleave", "5b0c1f2a", "control", ARMS, (ArmComparison("reranked", "treatment", ESTIMATE),),
    0.54, ClickCounts(counted=5_038), 0, 100,
)  # fmt: skip


def judged(verdict: Verdict, estimate: Estimate | None = ESTIMATE, **more: int) -> str:
    return format_report(replace(REPORT, comparisons=(ArmComparison("reranked", verdict, estimate, **more),)))


def test_the_winner_is_named_with_its_interval() -> None:
    assert "reranked wins: +0.121 (+0.069 to +0.173), mean preference over units, from -1 to 1." in judged(
        "treatment"
    )
    assert "control wins: +0.121" in judged("control")


def test_without_a_winner_it_says_what_is_missing() -> None:
    found = judged("open", units_missing=1_200, clicks_missing=2_300)
    assert "No winner yet of control and reranked: +0.121" in found
    assert "about 1,200 more units (2,300 clicks) decide." in found
    assert "too close for any number of units" in judged("open")
    assert "Too few units for a verdict on reranked: at least 100" in judged("too_few", None)


def test_an_uneven_split_has_no_verdict() -> None:
    found = format_report(
        replace(REPORT, sample_ratio_p=1e-6, comparisons=(ArmComparison("reranked", "mismatch", ESTIMATE),))
    )
    assert "No verdict on reranked: the split is not as it should be (p = 1e-06" in found
    assert "wins" not in found


def test_what_is_left_out_is_told() -> None:
    counts = ClickCounts(
        counted=7, repeated=1, without_impression=2, not_shown=3, above_limit=9_900, limited_units=1
    )
    found = format_report(replace(REPORT, clicks=counts, crossed_units=4, other_runs=2))
    for words in (
        "Left out: 1 clicks that repeated", "2 clicks that belong to searches that are not in this run",
        "3 clicks that are on hits that their search did not show", "9,900 clicks that are beyond 100 of one",
        "4 units with several arms", "not in this report: 2 other runs",
    ):  # fmt: skip
        assert words in found, found
    assert "Left out" not in format_report(REPORT)


@pytest.mark.parametrize("mode", ["split", "interleave"])
def test_a_report_is_plain_json(mode: str) -> None:
    report = Population(1, (0.7, 0.7), num_units=120).run(mode, looks=1)[0]  # type: ignore[arg-type]
    assert report.as_json()["arms"][0]["name"] == "control"
    assert format_report(report).count("\n") > 6
