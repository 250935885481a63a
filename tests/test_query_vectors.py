"""The encoding pool: cached, each text once at a time, bounded."""

import threading

import numpy as np
import pytest

from plugin.errors import RerankFailedError
from plugin.query_vectors import MAX_FAULTS, Floats, QueryVectors, awaited, hopeful


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
    vectors = QueryVectors(encode)
    waiting = [vectors.submit("wait") for _ in range(5)]
    encode.leave.set()
    assert [awaited(each, 10)[0] for each in waiting] == [4] * 5
    assert awaited(vectors.submit("wait"), 10)[0] == 4
    assert encode.texts == ["wait"]


def test_the_one_too_many_is_refused_and_a_cached_one_is_not() -> None:
    encode = Counted()
    vectors = QueryVectors(encode, max_waiting=1)
    first = vectors.submit("a")
    with pytest.raises(RerankFailedError, match="too many") as raised:
        awaited(vectors.submit("b"), 10)
    assert raised.value.reason == "overloaded"
    encode.leave.set()
    awaited(first, 10)
    assert awaited(vectors.submit("a"), 10)[0] == 1


def test_a_late_vector_is_a_deadline_and_serves_the_next_search() -> None:
    encode = Counted()
    vectors = QueryVectors(encode)
    with pytest.raises(RerankFailedError) as raised:
        awaited(vectors.submit("a"), 0.01)
    assert raised.value.reason == "deadline"
    encode.leave.set()
    assert awaited(vectors.submit("a"), 10)[0] == 1
    assert encode.texts == ["a"]


def test_a_failure_is_not_remembered() -> None:
    answers = iter([ValueError("broken"), None])

    def encode(text: str) -> Floats:
        error = next(answers)
        if error is not None:
            raise error
        return np.ones(1, np.float32)

    vectors = QueryVectors(encode)
    with pytest.raises(RerankFailedError, match="broken") as raised:
        awaited(vectors.submit("a"), 10)
    assert raised.value.reason == "model"
    assert awaited(vectors.submit("a"), 10)[0] == 1


def test_a_query_that_cannot_be_in_time_is_not_started() -> None:
    encode = Counted()
    vectors = QueryVectors(encode)
    first = vectors.submit("a", 0.001)
    assert first is not None, "the encoder is free: it is tried"
    threading.Event().wait(0.05)  # the encoding takes long already, and so will the next
    assert vectors.submit("b", 0.06) is None
    patient = vectors.submit("c", 60)
    assert vectors.submit("a", 0.001) is first, "who is encoded already is joined"
    encode.leave.set()
    assert [awaited(each, 10)[0] for each in (first, patient)] == [1, 1]
    assert encode.texts == ["a", "c"]


def test_a_query_that_is_late_when_its_turn_comes_is_not_encoded_unless_another_can_wait() -> None:
    encode = Counted()
    vectors = QueryVectors(encode)
    first = vectors.submit("a")
    late, shared = vectors.submit("b", 0.05), vectors.submit("c", 0.05)
    assert vectors.submit("c", 60) is shared
    threading.Event().wait(0.1)
    encode.leave.set()
    awaited(first, 10)
    with pytest.raises(RerankFailedError) as raised:
        awaited(late, 10)
    assert raised.value.reason == "deadline"
    assert awaited(shared, 10)[0] == 1
    assert encode.texts == ["a", "c"]


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


def test_after_some_faults_the_encoder_rests_and_one_query_tries_then() -> None:
    encode = Breaking()
    vectors = QueryVectors(encode, rest_s=1)
    for number in range(MAX_FAULTS + 20):
        with pytest.raises(RerankFailedError) as raised:
            awaited(vectors.submit(str(number)), 10)
        assert raised.value.reason == "model"
    assert (encode.num_calls, vectors.state().breaker) == (MAX_FAULTS, "open")
    with pytest.raises(RerankFailedError, match="a pause is made"):
        hopeful(vectors.submit("x"))
    threading.Event().wait(1.1)
    assert vectors.state().breaker == "half_open"
    with pytest.raises(RerankFailedError):
        awaited(vectors.submit("still broken"), 10)
    assert (encode.num_calls, vectors.state().breaker) == (MAX_FAULTS + 1, "open")
    encode.is_mended = True
    threading.Event().wait(1.1)
    assert awaited(vectors.submit("mended"), 10)[0] == 1
    assert vectors.state().breaker == "closed"


def test_a_late_query_is_no_fault_of_the_encoder() -> None:
    encode = Counted()
    vectors = QueryVectors(encode)
    vectors.submit("a")
    late = [vectors.submit(str(number), 0.02) for number in range(MAX_FAULTS + 1)]
    threading.Event().wait(0.1)
    encode.leave.set()
    for each in late:
        with pytest.raises(RerankFailedError, match="in time"):
            awaited(each, 10)
    assert vectors.state().breaker == "closed"


@pytest.mark.parametrize("wrong", [np.ones(3, np.float32), np.full(2, np.nan, np.float32)])
def test_a_vector_that_cannot_be_one_is_a_fault_of_the_model(wrong: Floats) -> None:
    vectors = QueryVectors(lambda text: wrong, dim=2)
    with pytest.raises(RerankFailedError, match="expected 2 finite numbers") as raised:
        awaited(vectors.submit("a"), 10)
    assert raised.value.reason == "model"


def test_the_cache_is_bounded() -> None:
    encode = Counted()
    encode.leave.set()
    vectors = QueryVectors(encode, cache_entries=2)
    for text in ("a", "b", "c", "a"):
        awaited(vectors.submit(text), 10)
    assert encode.texts == ["a", "b", "c", "a"]


def test_a_batch_is_encoded_in_order_and_each_text_once() -> None:
    encode = Counted()
    encode.leave.set()
    vectors = QueryVectors(encode)
    awaited(vectors.submit("bb"), 10)
    found = vectors.submit_all(["a", "bb", "ccc", "a"])
    assert [awaited(each, 10)[0] for each in found] == [1, 2, 3, 1]
    assert encode.texts == ["bb", "a", "ccc"]


def test_a_single_query_is_encoded_before_a_batch_goes_on() -> None:
    encode = Counted()
    vectors = QueryVectors(encode)
    batch = vectors.submit_all(["a", "b", "c"])
    single = vectors.submit("single")
    encode.leave.set()
    for each in (*batch, single):
        awaited(each, 10)
    assert encode.texts.index("single") == 1, "behind the text that was under way, before the next"


def test_a_batch_waits_as_one_query_however_long_and_is_refused_as_one() -> None:
    encode = Counted()
    vectors = QueryVectors(encode, max_waiting=1)
    batch = vectors.submit_all([str(n) for n in range(50)])
    assert None not in batch
    assert vectors.submit("x") is None
    assert vectors.submit_all(["x", "7"]) == [None, batch[7]], "who is waited for already is joined"
    encode.leave.set()
    for each in batch:
        awaited(each, 10)
    for _ in range(200):  # the last text's thread lets go a moment after its vector is there
        last = vectors.submit_all(["x"])[0]
        if last is not None:
            break
        threading.Event().wait(0.05)
    assert awaited(last, 10)[0] == 1


def test_one_text_of_a_batch_that_fails_leaves_the_others() -> None:
    def encode(text: str) -> Floats:
        if text == "bad":
            raise ValueError("broken")
        return np.ones(1, np.float32)

    vectors = QueryVectors(encode)
    good, bad, other = vectors.submit_all(["good", "bad", "other"])
    assert awaited(good, 10)[0] == awaited(other, 10)[0] == 1
    with pytest.raises(RerankFailedError, match="broken"):
        awaited(bad, 10)
    assert vectors.submit("bad") is not bad
