"""A query that several bundles encode: all vectors within one time, or none."""

import time

import numpy as np
import pytest

from plugin.encoding.pending_query import PendingQuery
from plugin.encoding.query_future import QueryFuture
from plugin.errors import RerankFailedError


def done(value: float) -> QueryFuture:
    future = QueryFuture()
    future.set_result(np.full(2, value, np.float32))
    return future


def test_every_vector_is_returned_by_its_bundle() -> None:
    found = PendingQuery({"": done(1), "b": done(2)}).await_all(1)
    assert {name: vector.tolist() for name, vector in found.items()} == {"": [1, 1], "b": [2, 2]}


def test_the_time_is_for_all_together_and_nobody_waits_for_the_others_then() -> None:
    late, later = QueryFuture(), QueryFuture()
    began_s = time.monotonic()
    with pytest.raises(RerankFailedError, match="no query vector") as raised:
        PendingQuery({"": done(1), "b": late, "c": later}).await_all(0.2)
    assert raised.value.reason == "deadline"
    assert time.monotonic() - began_s < 5
    assert late.cancelled()
    assert later.cancelled()


def test_what_was_not_started_is_an_overload() -> None:
    with pytest.raises(RerankFailedError) as raised:
        PendingQuery({"": None}).await_all(1)
    assert raised.value.reason == "overloaded"
