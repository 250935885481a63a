"""The shadow worker: later, one request at a time, and nobody goes without a record."""

import threading
import weakref
from collections.abc import Mapping
from functools import partial

import pytest

from plugin.search.shadow import BUSY, COMPARED, FAILED, DeferredAttributes, ShadowWorker
from tests.support.waiting import until

DONE = {"done": "1"}


def test_attributes_come_later_and_those_without_a_place_come_at_once() -> None:
    worker, goes_on, delivered, results = (
        ShadowWorker(),
        threading.Event(),
        list[tuple[int, Mapping[str, str]]](),
        list[str](),
    )
    worker.on_result = results.append

    def compute() -> Mapping[str, str]:
        goes_on.wait(30)
        return DONE

    def deliver(number: int, found: Mapping[str, str]) -> None:
        delivered.append((number, found))

    for number in range(5):
        worker.defer([DeferredAttributes(compute, partial(deliver, number))])
    assert delivered == [(number, {}) for number in range(1, 5)]
    goes_on.set()
    until(lambda: len(delivered) == 5, "all are delivered")
    assert delivered[-1] == (0, DONE)
    assert results == [BUSY] * 4 + [COMPARED]


def test_all_comparisons_of_one_request_are_computed_in_turn() -> None:
    worker, delivered = ShadowWorker(), list[str]()
    worker.defer([])
    assert not worker.is_running
    each = [
        DeferredAttributes(partial(dict, n=name), lambda found: delivered.append(found["n"]))
        for name in "abc"
    ]
    worker.defer(each)
    until(lambda: len(delivered) == 3, "all are delivered")
    assert delivered == ["a", "b", "c"]


def test_nothing_is_computed_while_others_wait() -> None:
    busy, delivered, results = [True], list[Mapping[str, str]](), list[str]()
    worker = ShadowWorker(lambda: busy[0])
    worker.on_result = results.append
    worker.defer([DeferredAttributes(lambda: DONE, delivered.append)])
    assert (delivered, results) == ([{}], [BUSY])
    busy[0] = False
    worker.defer([DeferredAttributes(lambda: DONE, delivered.append)])
    busy[0] = True  # since then, others wait
    until(lambda: len(delivered) == 2, "the second one")
    assert (delivered, results) == ([{}, {}], [BUSY, BUSY])


def test_what_is_unfinished_at_the_end_is_recorded_once() -> None:
    worker, goes_on, began = ShadowWorker(), threading.Event(), threading.Event()
    delivered = list[Mapping[str, str]]()

    def compute() -> Mapping[str, str]:
        began.set()
        goes_on.wait(30)
        return DONE

    worker.defer(
        [DeferredAttributes(compute, delivered.append), DeferredAttributes(compute, delivered.append)]
    )
    assert began.wait(30)
    worker.stop()
    assert delivered == [{}, {}]
    goes_on.set()
    again = list[Mapping[str, str]]()
    until(lambda: worker._computing is None, "the end of the first")
    worker.defer([DeferredAttributes(lambda: DONE, again.append)])
    until(lambda: again == [DONE], "the next one")
    assert delivered == [{}, {}]


def test_nothing_of_a_request_is_kept() -> None:
    class Credentials:
        pass

    worker, delivered, kept = ShadowWorker(), list[Mapping[str, str]](), Credentials()
    reference = weakref.ref(kept)
    worker.defer([DeferredAttributes(lambda kept=kept: DONE, delivered.append)])  # type: ignore[misc]
    del kept
    until(lambda: reference() is None, "that nothing is kept", within_s=20)
    assert delivered == [DONE]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_fault_costs_neither_the_records_nor_the_next_search() -> None:
    worker, delivered, results = ShadowWorker(), list[Mapping[str, str]](), list[str]()
    worker.on_result = results.append

    def fail() -> Mapping[str, str]:
        raise ArithmeticError("as a test wants it")

    worker.defer(
        [DeferredAttributes(fail, delivered.append), DeferredAttributes(lambda: DONE, delivered.append)]
    )
    until(lambda: len(delivered) == 2, "the records of the fault, and of the one after it")
    until(lambda: not worker.is_running, "its end")
    worker.defer([DeferredAttributes(lambda: DONE, delivered.append)])
    until(lambda: len(delivered) == 3, "the next one")
    assert delivered == [{}, {}, DONE]
    assert results == [FAILED, BUSY, COMPARED]
