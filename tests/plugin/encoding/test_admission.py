"""Which searches are reranked: none is refused for a slow machine, and queues that stand are seen."""

from dataclasses import replace

import pytest

from plugin.encoding.admission import MAX_SERVICE_WAIT_S, MAX_WAITING_REQUESTS, Admission, Waits
from plugin.encoding.standing_queue import WINDOW_S, StandingQueue
from tests.support.simulated_worker import DEADLINE_S, SimulatedWorker, Times

FREE = Waits(num_others=3, num_requests=0, num_queries=0, encoding_s=0.004, deadline_s=DEADLINE_S)
"""What a search finds in a worker that answers three others, none of which waits."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.05  # in the middle of a window

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(clock)


def stood(queue: StandingQueue, clock: Clock, wait_s: float) -> None:
    """Let everybody wait so long through one whole window."""
    for _ in range(2):
        clock.now_s += WINDOW_S
        queue.record_wait(wait_s)


def test_a_queue_stands_only_if_everybody_waited_through_a_whole_window(clock: Clock) -> None:
    queue = StandingQueue(clock)
    assert queue.least_s() == 0
    queue.record_wait(0.5)
    assert queue.least_s() == 0, "half a window tells nothing"
    clock.now_s += WINDOW_S
    queue.record_wait(0.3)
    assert queue.least_s() == 0.3
    queue.record_wait(0.001)
    assert queue.least_s() == 0.001, "one that did not wait is enough"
    clock.now_s += WINDOW_S
    assert queue.least_s() == 0.001
    clock.now_s += WINDOW_S
    assert queue.least_s() == 0, "nobody waited for a whole window"
    stood(queue, clock, 0.2)
    clock.now_s += 5 * WINDOW_S
    assert queue.least_s() == 0


def test_a_search_that_is_alone_is_never_refused(admission: Admission, clock: Clock) -> None:
    stood(admission.service, clock, 5.0)
    stood(admission.encoder, clock, 5.0)
    alone = Waits(num_others=0, num_requests=0, num_queries=31, encoding_s=9.0, deadline_s=0.001)
    assert admission.admits(alone)
    assert not admission.admits(replace(alone, num_others=1))


def test_so_many_requests_may_wait_for_a_thread(admission: Admission) -> None:
    assert admission.refusal(replace(FREE, num_requests=MAX_WAITING_REQUESTS - 1)) is None
    assert admission.refusal(replace(FREE, num_requests=MAX_WAITING_REQUESTS)) == "requests"
    assert (
        admission.refusal(replace(FREE, num_requests=MAX_WAITING_REQUESTS, follows_page=True)) == "requests"
    )


def test_a_wait_for_threads_that_stands_refuses_and_its_end_is_seen_at_once(
    admission: Admission, clock: Clock
) -> None:
    stood(admission.service, clock, MAX_SERVICE_WAIT_S)
    assert admission.refusal(FREE) is None
    stood(admission.service, clock, 1.1 * MAX_SERVICE_WAIT_S)
    assert admission.refusal(FREE) == "service"
    assert admission.refusal(replace(FREE, follows_page=True)) is None
    admission.service.record_wait(0.0)
    assert admission.refusal(FREE) is None


@pytest.mark.parametrize("others", [1, 2])
def test_a_few_requests_are_no_queue_however_long_they_wait_for_a_thread(
    admission: Admission, clock: Clock, others: int
) -> None:
    stood(admission.service, clock, 5.0)
    assert admission.refusal(replace(FREE, num_others=others)) is None
    assert admission.refusal(replace(FREE, num_others=3)) == "service"


def test_the_queries_before_it_may_take_half_the_deadline(admission: Admission, clock: Clock) -> None:
    assert admission.refusal(replace(FREE, num_queries=5)) is None, "6 x 4 ms"
    assert admission.refusal(replace(FREE, num_queries=6)) == "encoder"
    assert admission.refusal(replace(FREE, num_queries=6, deadline_s=0.1)) is None
    assert admission.refusal(replace(FREE, num_queries=6, encoding_s=None)) is None, "it is encoded already"
    assert admission.refusal(replace(FREE, num_queries=6, follows_page=True)) is None
    stood(admission.encoder, clock, 0.6 * DEADLINE_S)
    assert admission.refusal(replace(FREE, num_queries=1)) == "encoder"
    assert admission.refusal(FREE) is None, "whatever was, nothing waits now"


def test_what_refuses_is_told(admission: Admission) -> None:
    told: list[str] = []
    admission.on_refused = told.append
    assert admission.admits(FREE)
    assert not admission.admits(replace(FREE, num_queries=50))
    assert told == ["encoder"]


@pytest.mark.parametrize("slowness", [1.0, 2.0, 10.0])
def test_one_client_is_reranked_however_slow_the_machine_is(slowness: float) -> None:
    worker = SimulatedWorker(Times(slowness=slowness))
    worker.closed_loop(1)
    seen = worker.run(20.0)
    assert seen.refused == 0
    assert seen.reranked > 100


@pytest.mark.parametrize("clients", [1, 2, 4])
def test_some_clients_are_reranked_beside_processes_that_spin(clients: int) -> None:
    """Of 2 or 8 clients a worker of two has half; two processes that spin double what everything takes."""
    worker = SimulatedWorker(Times(slowness=2.0))
    worker.closed_loop(clients)
    seen = worker.run(20.0)
    assert seen.refused == 0
    assert seen.reranked > 1_000


@pytest.mark.parametrize("slowness", [1.0, 2.0])
def test_at_twice_the_capacity_waits_are_bounded_and_the_encoder_is_kept_busy(slowness: float) -> None:
    times, seconds = Times(slowness=slowness), 30.0
    worker, capacity = SimulatedWorker(times), 1 / (times.encoding_s * slowness)
    worker.open_loop(2 * capacity, seconds)
    seen = worker.run(seconds)
    assert seen.refused > 0
    assert seen.reranked >= 0.8 * capacity * seconds
    assert max(seen.encoder_waits_s) <= DEADLINE_S


def test_threads_that_cannot_keep_up_refuse_until_the_burst_is_over() -> None:
    """Twice as many requests come for a second as threads can begin; then few do."""
    worker = SimulatedWorker(Times(thread_s=0.005, encoding_s=0.0001))
    worker.open_loop(400, 1.0)
    burst = worker.run(2.8)
    assert burst.refused > burst.reranked
    for number in range(100):
        worker.at(3.0 + number / 50, worker.search)
    after = worker.run(10.0)
    assert (after.reranked - burst.reranked, after.refused) == (100, burst.refused)
