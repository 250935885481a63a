"""The shadow worker: later, one at a time, and nobody goes without a record."""

import threading
from collections.abc import Mapping

import pytest

from plugin.search.shadow import ShadowWorker
from tests.support.waiting import until


def test_attributes_come_later_and_those_without_a_place_come_at_once() -> None:
    worker, goes_on, delivered = ShadowWorker(), threading.Event(), []

    def compute() -> Mapping[str, str]:
        goes_on.wait(30)
        return {"done": "1"}

    for number in range(5):
        worker.defer(compute, lambda found, number=number: delivered.append((number, dict(found))))  # type: ignore[misc]
    until(lambda: len(delivered) >= 3, "three find no place")
    assert all(found == {} for _, found in delivered)
    goes_on.set()
    until(lambda: len(delivered) == 5, "all are delivered")
    assert 1 <= sum(found == {"done": "1"} for _, found in delivered) <= 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_costs_neither_the_record_nor_the_next_search() -> None:
    worker, delivered = ShadowWorker(), list[Mapping[str, str]]()

    def fail() -> Mapping[str, str]:
        raise ArithmeticError("as a test wants it")

    worker.defer(fail, delivered.append)
    until(lambda: len(delivered) == 1, "the record of the fault")
    until(lambda: not worker.is_running, "its end")
    worker.defer(lambda: {"done": "1"}, delivered.append)
    until(lambda: len(delivered) == 2, "the next one")
    assert delivered == [{}, {"done": "1"}]
