"""How many searches are reranked at once, by how late the last ones were."""

import pytest

from plugin.admission import LEAST, MOST, PAUSE_S, WAITED_S, Admission

TOOK_10_MS = b'{"took":10,"timed_out":false}'
DEADLINE_S = 0.05


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    """What has seen one search in time, so that it knows how quick one can be."""
    admission = Admission(clock, seed=1)
    admission.answered(0.018, 0.012, TOOK_10_MS, DEADLINE_S)
    return admission


def late(admission: Admission, clock: Clock, times: int = 1) -> None:
    for _ in range(times):
        clock.now_s += PAUSE_S
        admission.answered(0.5, 0.012, TOOK_10_MS, DEADLINE_S)


def test_there_is_no_limit_while_searches_are_in_time(admission: Admission) -> None:
    for _ in range(100):
        admission.answered(0.035, 0.012, TOOK_10_MS, DEADLINE_S)
    assert admission.limit is None
    assert admission.admits(waited_s=1.0, num_encoding=1000), "the queue before the encoder decides alone"


def test_late_searches_lower_it_and_time_lifts_it(admission: Admission, clock: Clock) -> None:
    late(admission, clock)
    assert admission.limit == pytest.approx(0.7 * MOST)
    for _ in range(10):  # late together: one lot of searches, one step
        admission.answered(0.5, 0.012, TOOK_10_MS, DEADLINE_S)
    assert admission.limit == pytest.approx(0.7 * MOST)
    late(admission, clock, 100)
    lowest = admission.limit
    assert lowest is not None
    assert LEAST <= lowest < 0.3, "some are tried however late they are"
    clock.now_s += 1
    assert admission.limit == pytest.approx(1.2 * lowest + 0.16)
    clock.now_s += 60
    assert admission.limit is None


def test_so_many_are_under_way_and_no_more(admission: Admission, clock: Clock) -> None:
    late(admission, clock, 4)
    limit = admission.limit
    assert limit is not None
    assert 2 < limit < 3
    assert admission.admits(num_encoding=2)
    assert not admission.admits(num_encoding=3)
    with admission.reordering(), admission.reordering(), admission.reordering():
        assert not admission.admits()
    assert admission.admits()


def test_a_fault_in_between_frees_the_place(admission: Admission, clock: Clock) -> None:
    late(admission, clock, 8)
    with pytest.raises(ZeroDivisionError), admission.reordering():
        raise ZeroDivisionError
    assert any(admission.admits() for _ in range(100))


def test_what_has_waited_for_a_thread_is_passed_through(admission: Admission, clock: Clock) -> None:
    late(admission, clock, 4)
    limit = admission.limit or 0.0
    assert admission.admits(waited_s=0.9 * limit * WAITED_S)
    assert not admission.admits(waited_s=1.1 * limit * WAITED_S)


def test_a_limit_below_one_is_a_chance(admission: Admission, clock: Clock) -> None:
    late(admission, clock, 100)
    limit = admission.limit or 0.0
    admitted = sum(admission.admits() for _ in range(2000))
    assert 0.5 * limit < admitted / 2000 < 1.5 * limit


@pytest.mark.parametrize(
    ("total_s", "asked_s", "body", "deadline_s"),
    [
        (5.0, 4.98, b'{"took":4970,', 0.05),
        (0.2, 0.18, b'{"took":10,', 0.05),
        (0.4, 0.02, b'{"took":10,', 1.0),
        (0.034, 0.02, b'{"took":10,', 0.0),
        (5.0, 4.98, b'{"hits":{}}', 0.05),
        (0.06, 0.02, b'{"took":10,', 0.05),
    ],
    ids=[
        "a slow OpenSearch",
        "a far one",
        "a long deadline",
        "a deadline of nothing",
        "no took",
        "a slow machine",
    ],
)
def test_what_is_not_ours_does_not_count(
    clock: Clock, total_s: float, asked_s: float, body: bytes, deadline_s: float
) -> None:
    admission = Admission(clock)
    for _ in range(20):
        clock.now_s += PAUSE_S
        admission.answered(total_s, asked_s, body, deadline_s)
    assert admission.limit is None


def test_a_network_that_was_quick_before_tells_a_queue_of_ours(clock: Clock) -> None:
    admission = Admission(clock)
    admission.answered(0.02, 0.012, TOOK_10_MS, DEADLINE_S)
    admission.answered(0.2, 0.18, TOOK_10_MS, DEADLINE_S)
    assert admission.limit == pytest.approx(0.7 * MOST)
