"""The encoding pool: cached, each text once at a time, bounded."""

import threading

import numpy as np
import pytest

from plugin.errors import RerankFailedError
from plugin.query_vectors import Floats, QueryVectors, awaited


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
