"""The encoding pool: cached, each text once at a time, bounded."""

import threading

import numpy as np
import pytest

from plugin.encoding.query_encoder import MAX_FAULTS, CachedQueryEncoder
from plugin.encoding.query_future import QueryFuture, await_vector, raise_if_unavailable
from plugin.errors import RerankFailedError
from reranker.arrays import Floats


class Counted:
    """An encoder that counts, and waits for leave."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.leave = threading.Event()

    def __call__(self, text: str) -> Floats:
        self.texts.append(text)
        assert self.leave.wait(10)
        return np.array([len(text)], np.float32)


def test_equal_texts_are_encoded_once_while_they_wait_and_afterwards() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    waiting = [vectors.submit("wait") for _ in range(5)]
    encode.leave.set()
    assert [await_vector(each, 10)[0] for each in waiting] == [4] * 5
    assert await_vector(vectors.submit("wait"), 10)[0] == 4
    assert encode.texts == ["wait"]


def test_the_one_too_many_is_refused_and_a_cached_one_is_not() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode, max_waiting=1)
    first = vectors.submit("a")
    with pytest.raises(RerankFailedError, match="too many") as raised:
        await_vector(vectors.submit("b"), 10)
    assert raised.value.reason == "overloaded"
    encode.leave.set()
    await_vector(first, 10)
    assert await_vector(vectors.submit("a"), 10)[0] == 1


def test_a_late_vector_is_a_deadline_and_serves_the_next_search() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    with pytest.raises(RerankFailedError) as raised:
        await_vector(vectors.submit("a"), 0.01)
    assert raised.value.reason == "deadline"
    encode.leave.set()
    assert await_vector(vectors.submit("a"), 10)[0] == 1
    assert encode.texts == ["a"]


def test_a_failure_is_not_remembered() -> None:
    answers = iter([ValueError("broken"), None])

    def encode(text: str) -> Floats:
        error = next(answers)
        if error is not None:
            raise error
        return np.ones(1, np.float32)

    vectors = CachedQueryEncoder(encode)
    with pytest.raises(RerankFailedError, match="broken") as raised:
        await_vector(vectors.submit("a"), 10)
    assert raised.value.reason == "model"
    assert await_vector(vectors.submit("a"), 10)[0] == 1


def left(future: QueryFuture | None) -> None:
    """Wait for a vector no longer than no time."""
    with pytest.raises(RerankFailedError) as raised:
        await_vector(future, 0)
    assert raised.value.reason == "deadline"


def test_a_query_that_nobody_waits_for_any_longer_is_not_encoded() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    first = vectors.submit("a")
    late, shared = vectors.submit("b"), vectors.submit("c")
    assert vectors.submit("c") is shared
    assert vectors.num_waiting == 3
    left(late)
    left(shared)
    assert (vectors.num_waiting, vectors.knows("b"), vectors.knows("c")) == (2, False, True)
    encode.leave.set()
    await_vector(first, 10)
    assert await_vector(shared, 10)[0] == 1, "of two that wait one has left"
    assert encode.texts == ["a", "c"]
    assert await_vector(vectors.submit("b"), 10)[0] == 1, "asked for again it is encoded"


def test_searches_one_after_another_never_fill_the_queue_before_an_encoder_that_hangs() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode, max_waiting=2)
    for number in range(100):
        left(vectors.submit(str(number)))
    assert vectors.num_waiting == 1
    encode.leave.set()
    assert await_vector(vectors.submit("next"), 10)[0] == 4
    assert encode.texts == ["0", "next"]


def test_texts_of_a_batch_that_nobody_waits_for_are_left_out() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    batch = vectors.submit_all([str(number) for number in range(2_000)])
    for future in batch[1:-1]:
        left(future)
    encode.leave.set()
    assert await_vector(batch[-1], 10)[0] == 4
    assert encode.texts == ["0", "1999"]


def test_how_long_an_encoding_takes_is_told_by_the_processor() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    waiting = vectors.submit("a")
    threading.Event().wait(0.2)
    encode.leave.set()
    await_vector(waiting, 10)
    assert 0 < vectors.encoding_s < 0.1, "it waited, and did not compute"


class Breaking:
    """An encoder that fails until it is mended."""

    def __init__(self) -> None:
        self.num_calls = 0
        self.is_mended = False

    def __call__(self, text: str) -> Floats:
        self.num_calls += 1
        if not self.is_mended:
            raise RuntimeError("the encoder has had enough")
        return np.ones(1, np.float32)


def test_after_some_faults_the_circuit_opens_and_one_query_is_tried_then() -> None:
    encode = Breaking()
    vectors = CachedQueryEncoder(encode, recovery_s=1)
    for number in range(MAX_FAULTS + 20):
        with pytest.raises(RerankFailedError) as raised:
            await_vector(vectors.submit(str(number)), 10)
        assert raised.value.reason == "model"
    assert (encode.num_calls, vectors.state().breaker) == (MAX_FAULTS, "open")
    with pytest.raises(RerankFailedError, match="the circuit is open"):
        raise_if_unavailable(vectors.submit("x"))
    threading.Event().wait(1.1)
    assert vectors.state().breaker == "half_open"
    with pytest.raises(RerankFailedError):
        await_vector(vectors.submit("still broken"), 10)
    assert (encode.num_calls, vectors.state().breaker) == (MAX_FAULTS + 1, "open")
    encode.is_mended = True
    threading.Event().wait(1.1)
    assert await_vector(vectors.submit("mended"), 10)[0] == 1
    assert vectors.state().breaker == "closed"


def test_a_late_query_is_no_fault_of_the_encoder() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    first = vectors.submit("a")
    for number in range(MAX_FAULTS + 1):
        left(vectors.submit(str(number)))
    encode.leave.set()
    await_vector(first, 10)
    assert vectors.state().breaker == "closed"


@pytest.mark.parametrize("wrong", [np.ones(3, np.float32), np.full(2, np.nan, np.float32)])
def test_a_vector_that_cannot_be_one_is_a_fault_of_the_model(wrong: Floats) -> None:
    vectors = CachedQueryEncoder(lambda text: wrong, dim=2)
    with pytest.raises(RerankFailedError, match="expected 2 finite numbers") as raised:
        await_vector(vectors.submit("a"), 10)
    assert raised.value.reason == "model"


def test_the_cache_is_bounded() -> None:
    encode = Counted()
    encode.leave.set()
    vectors = CachedQueryEncoder(encode, cache_entries=2)
    for text in ("a", "b", "c", "a"):
        await_vector(vectors.submit(text), 10)
    assert encode.texts == ["a", "b", "c", "a"]


def test_a_batch_is_encoded_in_order_and_each_text_once() -> None:
    encode = Counted()
    encode.leave.set()
    vectors = CachedQueryEncoder(encode)
    await_vector(vectors.submit("bb"), 10)
    found = vectors.submit_all(["a", "bb", "ccc", "a"])
    assert [await_vector(each, 10)[0] for each in found] == [1, 2, 3, 1]
    assert encode.texts == ["bb", "a", "ccc"]


def test_a_single_query_is_encoded_before_a_batch_goes_on() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode)
    batch = vectors.submit_all(["a", "b", "c"])
    single = vectors.submit("single")
    encode.leave.set()
    for each in (*batch, single):
        await_vector(each, 10)
    assert encode.texts.index("single") == 1, "behind the text that was under way, before the next"


def test_a_batch_waits_as_one_query_however_long_and_is_refused_as_one() -> None:
    encode = Counted()
    vectors = CachedQueryEncoder(encode, max_waiting=1)
    batch = vectors.submit_all([str(n) for n in range(50)])
    assert None not in batch
    assert vectors.submit("x") is None
    assert vectors.submit_all(["x", "7"]) == [None, batch[7]], "who is waited for already is joined"
    encode.leave.set()
    for each in batch:
        await_vector(each, 10)
    for _ in range(200):  # the last text's thread lets go a moment after its vector is there
        last = vectors.submit_all(["x"])[0]
        if last is not None:
            break
        threading.Event().wait(0.05)
    assert await_vector(last, 10)[0] == 1


def test_one_text_of_a_batch_that_fails_leaves_the_others() -> None:
    def encode(text: str) -> Floats:
        if text == "bad":
            raise ValueError("broken")
        return np.ones(1, np.float32)

    vectors = CachedQueryEncoder(encode)
    good, bad, other = vectors.submit_all(["good", "bad", "other"])
    assert await_vector(good, 10)[0] == await_vector(other, 10)[0] == 1
    with pytest.raises(RerankFailedError, match="broken"):
        await_vector(bad, 10)
    assert vectors.submit("bad") is not bad
