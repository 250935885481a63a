"""How many searches are reranked, by how late the last ones were."""

import pytest

from plugin.admission import LEAST, Admission

TOOK_10_MS = b'{"took":10,"timed_out":false}'


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def late(admission: Admission) -> None:
    admission.answered(0.5, 0.02, TOOK_10_MS, 0.05)


def test_all_are_reranked_while_they_are_in_time() -> None:
    admission = Admission(Clock())
    for _ in range(100):
        admission.answered(0.05, 0.02, TOOK_10_MS, 0.05)
    assert (admission.share, admission.admits()) == (1.0, True)


def test_fewer_are_while_they_are_late_and_all_again_with_time() -> None:
    clock = Clock()
    admission = Admission(clock, seed=1)
    for _ in range(7):
        late(admission)
    assert admission.share == pytest.approx(0.9**7)
    assert 350 < sum(admission.admits() for _ in range(1000)) < 600
    for _ in range(200):
        late(admission)
    assert admission.share == LEAST, "some are tried however late they are"
    clock.now_s += 2.5
    assert admission.share == pytest.approx(LEAST + 0.5)
    clock.now_s += 60
    assert admission.share == 1.0


@pytest.mark.parametrize(
    ("total_s", "asked_s", "body", "deadline_s"),
    [
        (5.0, 4.98, b'{"took":4970,', 0.05),
        (0.2, 0.18, b'{"took":10,', 0.05),
        (0.4, 0.02, b'{"took":10,', 1.0),
        (0.04, 0.02, b'{"took":10,', 0.0),
        (5.0, 4.98, b'{"hits":{}}', 0.05),
    ],
    ids=[
        "a slow OpenSearch",
        "a far one",
        "a long deadline",
        "a deadline of nothing",
        "no took",
    ],
)
def test_what_is_not_ours_does_not_count(
    total_s: float, asked_s: float, body: bytes, deadline_s: float
) -> None:
    admission = Admission(Clock())
    for _ in range(20):
        admission.answered(total_s, asked_s, body, deadline_s)
    assert admission.share == 1.0


def test_a_network_that_was_quick_before_tells_a_queue_of_ours() -> None:
    admission = Admission(Clock())
    admission.answered(0.02, 0.012, TOOK_10_MS, 0.05)
    admission.answered(0.2, 0.18, TOOK_10_MS, 0.05)
    assert admission.share == pytest.approx(0.9)
