"""The queue of records: bounded in number and bytes, in order."""

from typing import Any

from plugin.ubi.record import UbiRecord
from plugin.ubi.record_queue import RecordQueue


def record(name: str, **changed: Any) -> UbiRecord:  # noqa: ANN401
    return UbiRecord("t", name, name, [], "", {}, **changed)


def names(queue: RecordQueue, count: int = 100) -> list[str]:
    return [each.record.query_id for each in queue.take(count)]


def test_records_come_out_in_order() -> None:
    queue = RecordQueue()
    assert all(queue.put(record(name), ()) for name in "abc")
    assert (names(queue, 2), names(queue, 2), names(queue, 2)) == (["a", "b"], ["c"], [])


def test_it_holds_so_many() -> None:
    queue = RecordQueue(max_records=2)
    assert [queue.put(record(name), ()) for name in "abc"] == [True, True, False]
    assert names(queue) == ["a", "b"]
    assert queue.put(record("d"), ())


def test_it_holds_so_many_bytes() -> None:
    queue = RecordQueue(max_bytes=10_000)
    assert queue.put(record("a", query="x" * 5_000), ())
    assert not queue.put(record("b", query="x" * 5_000), ())
    assert queue.put(record("c"), ()), "a small one still fits"
    assert names(queue) == ["a", "c"]
    assert queue.put(record("d", query="x" * 5_000), ()), "what was taken needs no room"


def test_what_is_put_back_comes_first_and_counts() -> None:
    queue = RecordQueue(max_records=3)
    for name in "abc":
        queue.put(record(name), ())
    taken = queue.take(2)
    assert queue.put(record("d"), ())
    assert queue.put_back(taken) == 1, "one had no room"
    assert names(queue) == ["b", "c", "d"]


def test_it_does_not_wait_for_what_is_there() -> None:
    queue = RecordQueue()
    assert not queue.wait(0)
    queue.put(record("a"), ())
    assert queue.wait(60)
