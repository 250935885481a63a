"""Requests at a given rate, whether answers come or not: an open loop, in a process of its own.

Each request has its time, drawn beforehand (exponential gaps: users who know nothing of each other). Its
latency counts from that time, not from when it could be sent: where the server falls behind, its clients
wait, and a generator that waits with them would not see it (coordinated omission).
`python -m tests.load.generator` reads a plan in JSON from standard input, and writes what it saw.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from random import Random

import msgspec

MAX_CONNECTIONS = 512
"""Requests that are under way at once; more wait, and their waiting counts."""

GRACE_S = 10.0
"""After the last request's time, so long for answers; what is not answered then is lost."""


class Plan(msgspec.Struct):
    """`rate` requests a second for `seconds`, the bodies one after another and from the beginning again."""

    host: str
    port: int
    path: str
    bodies: list[str]
    rate: float
    seconds: float
    seed: int = 0


class Seen(msgspec.Struct):
    """What came of it: milliseconds of each answer with status 200, in no order, and how many were otherwise.

    `late_ms` is how far the generator itself fell behind, at worst: then the figures are its own too.
    """

    latencies_ms: list[float] = []
    num_sent: int = 0
    num_applied: int = 0
    num_errors: int = 0
    num_lost: int = 0
    late_ms: float = 0.0


class _Connections:
    """Keep-alive connections to one server."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return the answer's status and head."""
        async with self._room:
            opened = self._idle.pop() if self._idle else None
            reader, writer = opened or await asyncio.open_connection(self._plan.host, self._plan.port)
            try:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                await _read_body(reader, head.lower())
            except BaseException:
                writer.close()
                raise
            if b"\r\nconnection: close" in head.lower():
                writer.close()
            else:
                self._idle.append((reader, writer))
            return int(head[9:12]), head

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _read_body(reader: asyncio.StreamReader, head: bytes) -> None:
    if b"\r\ntransfer-encoding: chunked" in head:
        while size := int((await reader.readline()).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readline()
        return
    length = head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length or b"0"))


def request_of(plan: Plan, body: str) -> bytes:
    """Return the bytes of one request."""
    content = body.encode()
    head = (
        f"POST {plan.path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def times_of(plan: Plan) -> list[float]:
    """Return the requests' times in seconds from the beginning."""
    random, at, times = Random(plan.seed), 0.0, list[float]()
    while (at := at + random.expovariate(plan.rate)) < plan.seconds:
        times.append(at)
    return times


async def run(plan: Plan) -> Seen:
    """Send what is planned, and return what was seen."""
    seen, connections = Seen(latencies_ms=[]), _Connections(plan)
    requests = [request_of(plan, body) for body in plan.bodies]
    tasks = await _started(plan, requests, connections, seen)
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=GRACE_S)
        seen.num_lost = len(late)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    connections.close()
    return seen


async def _started(
    plan: Plan, requests: Sequence[bytes], connections: _Connections, seen: Seen
) -> list[asyncio.Task[None]]:
    """Start every request at its time."""
    tasks = []
    start_s = time.perf_counter() + 0.05
    for number, at_s in enumerate(times_of(plan)):
        due_s = start_s + at_s
        if (wait_s := due_s - time.perf_counter()) > 0:
            await asyncio.sleep(wait_s)
        seen.late_ms = max(seen.late_ms, (time.perf_counter() - due_s) * 1000)
        request = requests[number % len(requests)]
        tasks.append(asyncio.create_task(_one(connections, request, due_s, seen)))
        seen.num_sent += 1
    return tasks


async def _one(connections: _Connections, request: bytes, due_s: float, seen: Seen) -> None:
    try:
        status, head = await connections.ask(request)
    except (OSError, EOFError, ValueError):
        seen.num_errors += 1
        return
    if status != 200:
        seen.num_errors += 1
        return
    seen.latencies_ms.append((time.perf_counter() - due_s) * 1000)
    seen.num_applied += b"\r\nRerank-Status: applied" in head


def main() -> None:
    """Read a plan, run it, write what was seen."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(run(plan))))


if __name__ == "__main__":
    main()
