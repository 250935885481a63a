"""Grades from clicks: clicks over expected clicks (COEC), so that a document's place does not count.

Zhang and Jones, "Comparing Click Logs and Editorial Labels for Training Query Rewriting" (WWW 2007), divide a
document's clicks by those that any document would have at the places where it was shown.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from plugin.clicks.click_log import Tally

MIN_IMPRESSIONS = 20
"""A document that was shown less often is not judged."""

GRADE_LIMITS = (0.5, 1.0, 2.0)
"""Grade 1, 2 and 3 begin here, in clicks over expected clicks."""

PRIOR = 1.0
"""Expected clicks that are added before grading: a single click at a place where hardly anybody clicks would
otherwise be the best grade."""


@dataclass(frozen=True)
class ClickJudgement:
    """A document's grade for a query, 0 to 3, with what it comes from."""

    query_id: str
    text: str
    document: str
    grade: int
    coec: float
    clicks: int
    impressions: int


def judge_clicks(tallies: Iterable[Tally]) -> Iterator[ClickJudgement]:
    """Yield the judgement of every document."""
    return (
        ClickJudgement(
            make_query_id(tally.text),
            tally.text,
            tally.document,
            grade_clicks(tally.clicks, tally.expected),
            tally.clicks / tally.expected if tally.expected else 0.0,
            tally.clicks,
            tally.impressions,
        )
        for tally in tallies
    )


def grade_clicks(clicks: int, expected: float) -> int:
    """Return the grade of so many clicks where so many were expected."""
    return bisect_right(GRADE_LIMITS, clicks / (expected + PRIOR))


def make_query_id(text: str) -> str:
    """Return an id that is the same in every run, and for texts that differ in case alone."""
    return hashlib.sha256(text.casefold().encode("utf-8", "surrogatepass")).hexdigest()[:12]
