"""Code that waits on an event loop without blocking it, and that needs no `async` for that.

The same code answers searches in threads and on an event loop. In a thread it blocks. On a loop it runs in a
greenlet, by `run_suspendable`: it hands what it waits for to `suspend`, and the loop goes on with other
requests meanwhile. SQLAlchemy bridges its blocking code to asyncio in the same way.

No lock may be held across `suspend`: whoever else wants it would block the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

from plugin.http.request_context import ClientDisconnectedError

LONG_BYTES = 256 * 1024
"""What is longer takes milliseconds to be worked on, in which a loop would do nothing else."""

Result = TypeVar("Result")


class _Suspendable(greenlet):
    """Code that runs on a loop."""


async def run_suspendable(call: Callable[[], Result]) -> Result:
    """Run code on the current loop; it may `suspend`.

    If this is cancelled, what the code waits for is too, and `suspend` tells the code.

    Raises:
        Exception: whatever the code raises.
    """
    code = _Suspendable(call)
    code.gr_context = copy_context()
    found = code.switch()
    while not code.dead:
        try:
            awaited = await found
        except BaseException as error:  # noqa: BLE001  # the code decides what it means
            found = code.throw(error)
        else:
            found = code.switch(awaited)
    return cast(Result, found)


def is_suspendable() -> bool:
    """Whether the calling code was started by `run_suspendable`, so that it must not block."""
    return isinstance(getcurrent(), _Suspendable)


def suspend(awaitable: Awaitable[Result]) -> Result:
    """Return what is awaited; the loop goes on meanwhile. Only for code that `is_suspendable`.

    Raises:
        ClientDisconnectedError: the code was cancelled, since its client closed the connection.
        Exception: whatever the awaitable raises.
    """
    parent: Any = getcurrent().parent
    try:
        return cast(Result, parent.switch(awaitable))
    except asyncio.CancelledError as error:
        raise ClientDisconnectedError("the client closed its connection before it was answered") from error


def run_apart(call: Callable[[], Result], *, is_long: bool) -> Result:
    """Run code in a thread if it computes for long and the caller is on a loop; else at once.

    Raises:
        ClientDisconnectedError: as `suspend`; the thread runs on.
        Exception: whatever the code raises.
    """
    return suspend(asyncio.to_thread(call)) if is_long and is_suspendable() else call()
