"""The bound on a feed's rate, and how it gives way to searches."""

import pytest

from indexer.sync.throttle import MIN_SHARE, Throttle
from opensearch.durations import parse_duration


@pytest.mark.parametrize(
    ("docs_s", "written", "busy_s", "pause_s"),
    [(None, 100, 1.0, 0.0), (50, 100, 0.5, 1.5), (50, 100, 3.0, 0.0)],
)
def test_the_rate_is_bounded(docs_s: float | None, written: int, busy_s: float, pause_s: float) -> None:
    assert Throttle(docs_s).pause_s(written, busy_s) == pytest.approx(pause_s)


def test_slow_searches_lower_the_share_and_quick_ones_give_it_back() -> None:
    times = iter([0.0, 0.002] * 5 + [0.0, 0.2] * 6 + [0.0, 0.002] * 20)
    paced = Throttle(None, lambda: None, lambda: next(times))
    assert paced.pause_s(1, 1.0) == pytest.approx(1.0)
    for _ in range(5):
        paced.pause_s(1, 1.0)
    assert paced.share == MIN_SHARE
    assert paced.last_probe_ms == pytest.approx(200)
    for _ in range(10):
        paced.pause_s(1, 1.0)
    assert paced.share == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "value"), [("60s", 60), ("500ms", 0.5), ("-1", -1), ("2m", 120), ("1.5h", 5400)]
)
def test_durations_are_read(text: str, value: float) -> None:
    assert parse_duration(text) == pytest.approx(value)


def test_what_is_no_duration_is_told() -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration("soon")
