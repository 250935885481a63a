"""A query's vector that is awaited on an event loop, as it is in a thread."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from plugin.encoding.query_future import QueryFuture, await_vector
from plugin.errors import RerankFailedError
from plugin.http.request_context import ClientDisconnectedError
from plugin.http.suspension import run_suspendable

PATIENT_S = 60.0


def awaited(future: QueryFuture, within_s: float, meanwhile: Callable[[], object]) -> list[float]:
    """Await a vector on a loop, on which something else is done meanwhile."""

    async def serve() -> list[float]:
        asyncio.get_running_loop().call_soon(meanwhile)
        return await run_suspendable(lambda: [float(each) for each in await_vector(future, within_s)])

    return asyncio.run(serve())


def test_the_loop_goes_on_until_the_vector_is_there() -> None:
    future = QueryFuture()
    assert awaited(future, PATIENT_S, lambda: future.set_result(np.ones(2, np.float32))) == [1, 1]


def test_a_vector_that_is_there_is_not_awaited() -> None:
    future = QueryFuture()
    future.set_result(np.ones(2, np.float32))
    assert awaited(future, 0.0, lambda: None) == [1, 1]


@pytest.mark.parametrize("within_s", [-1.0, 0.0, 0.01])
def test_a_vector_that_is_late_is_a_deadline_and_nobody_waits_any_more(within_s: float) -> None:
    future = QueryFuture()
    with pytest.raises(RerankFailedError) as raised:
        awaited(future, within_s, lambda: None)
    assert raised.value.reason == "deadline"
    assert future.cancelled()


def test_an_encoder_that_fails_is_told() -> None:
    future = QueryFuture()
    with pytest.raises(RerankFailedError) as raised:
        awaited(future, PATIENT_S, lambda: future.set_exception(ValueError("no")))
    assert raised.value.reason == "model"


@pytest.mark.parametrize("others", [0, 1])
def test_a_client_that_has_gone_waits_no_more_and_others_still_do(others: int) -> None:
    future = QueryFuture()
    for _ in range(others):
        assert future.join()

    async def serve() -> None:
        task = asyncio.create_task(run_suspendable(lambda: await_vector(future, PATIENT_S)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(ClientDisconnectedError):
            await task

    asyncio.run(serve())
    assert future.cancelled() is not bool(others)
