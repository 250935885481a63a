"""Code without `async` on an event loop: it waits, and the loop goes on."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial

import pytest

from plugin.http.request_context import ClientDisconnectedError
from plugin.http.suspension import is_suspendable, run_apart, run_suspendable, suspend

NAME = ContextVar("NAME", default="none")


def test_a_suspended_code_lets_others_run_and_gets_what_it_awaits() -> None:
    async def serve() -> tuple[list[str], list[str]]:
        told, doors = list[str](), [asyncio.Event(), asyncio.Event()]

        async def pass_door(number: int) -> str:
            await doors[number].wait()
            return f"through {number}"

        def code(number: int) -> str:
            told.append(f"begin {number}")
            found = suspend(pass_door(number))
            told.append(f"end {number}")
            return found

        tasks = [asyncio.create_task(run_suspendable(partial(code, number))) for number in (0, 1)]
        await asyncio.sleep(0)
        doors[1].set()
        await tasks[1]
        doors[0].set()
        return told, list(await asyncio.gather(*tasks))

    told, found = asyncio.run(serve())
    assert told == ["begin 0", "begin 1", "end 1", "end 0"]
    assert found == ["through 0", "through 1"]


def test_errors_go_both_ways() -> None:
    async def fail() -> None:
        raise ValueError("from the loop")

    def code() -> None:
        with pytest.raises(ValueError, match="from the loop"):
            suspend(fail())
        raise KeyError("from the code")

    with pytest.raises(KeyError, match="from the code"):
        asyncio.run(run_suspendable(code))


def test_code_that_nobody_waits_for_is_told_and_can_go_on() -> None:
    async def serve() -> list[str]:
        told, is_waiting, released = list[str](), asyncio.Event(), asyncio.Event()

        async def wait_in_vain() -> None:
            is_waiting.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                told.append("no longer awaited")
                raise

        def code() -> None:
            try:
                suspend(wait_in_vain())
            except ClientDisconnectedError:
                told.append("the client has gone")
                suspend(released.wait())
                told.append("cleaned up")

        task = asyncio.create_task(run_suspendable(code))
        await is_waiting.wait()
        task.cancel()
        released.set()
        await task
        return told

    assert asyncio.run(serve()) == ["no longer awaited", "the client has gone", "cleaned up"]


def test_it_has_the_context_of_who_started_it_and_changes_none() -> None:
    async def serve() -> tuple[str, str]:
        def code() -> str:
            found = NAME.get()
            NAME.set("the code's")
            suspend(asyncio.sleep(0))
            return f"{found}, {NAME.get()}"

        NAME.set("the task's")
        return await run_suspendable(code), NAME.get()

    assert asyncio.run(serve()) == ("the task's, the code's", "the task's")


@pytest.mark.parametrize("is_long", [True, False])
def test_what_takes_long_leaves_the_loop(is_long: bool) -> None:
    def compute() -> tuple[bool, bool]:
        return threading.current_thread() is threading.main_thread(), is_suspendable()

    on_loop = asyncio.run(run_suspendable(lambda: run_apart(compute, is_long=is_long)))
    assert on_loop == ((False, False) if is_long else (True, True))
    assert run_apart(compute, is_long=is_long) == (True, False)


def test_threads_may_block_while_a_code_is_suspended() -> None:
    async def serve() -> tuple[bool, bool]:
        with ThreadPoolExecutor(1) as pool:
            loop = asyncio.get_running_loop()
            return await run_suspendable(
                lambda: (suspend(loop.run_in_executor(pool, is_suspendable)), is_suspendable())
            )

    assert asyncio.run(serve()) == (False, True)
    assert not is_suspendable()
