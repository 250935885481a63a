"""A paired difference in words, the same for `tune`, `evaluate` and `gate`."""

from plugin.evaluation.measures import Difference
from plugin.evaluation.paired_report import format_difference, format_interval, format_losses, format_p
from plugin.evaluation.query_result import PairedQuery

FOUND = Difference(0.05, -0.01, 0.11, 0.00001, won=3, lost=2, tied=1)


def test_a_difference_has_its_interval_and_its_counts() -> None:
    assert format_interval(FOUND) == "+0.050 (-0.010 to +0.110)"
    assert format_difference(FOUND) == "+0.050 (95 %: -0.010 to +0.110), won 3, lost 2"


def test_a_small_p_is_not_told_apart() -> None:
    assert format_p(FOUND) == "< 0.0001"
    assert format_p(Difference(0, 0, 0, 0.5, 0, 0, 1)) == "0.5000"


def test_losing_queries_are_listed_worst_first() -> None:
    queries = [PairedQuery("a", "x", 0.5, 0.4), PairedQuery("b", "y", 0.5, 0.1), PairedQuery("c", "z", 0, 1)]
    assert list(format_losses(queries)) == [
        "0.500 → 0.100 (-0.400)  b  “y”",
        "0.500 → 0.400 (-0.100)  a  “x”",
    ]
