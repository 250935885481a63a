"""The heartbeat of an event loop: it shows what holds the loop up, and beats only beside requests."""

import asyncio
import time

from plugin.server.loop_lag import BEAT_S, LoopLag

HELD_UP_S = 0.1


def test_what_holds_the_loop_up_is_the_lag_of_who_comes_next() -> None:
    async def serve() -> tuple[float, list[float]]:
        beats: list[float] = []
        lag = LoopLag(asyncio.get_running_loop(), beats.append)
        with lag.in_flight():
            time.sleep(HELD_UP_S)  # the very fault
            found_s = lag.current_s()
            while not beats:
                await asyncio.sleep(0)
            return found_s, beats

    found_s, beats = asyncio.run(serve())
    assert found_s >= HELD_UP_S - BEAT_S
    assert max(beats) >= HELD_UP_S - BEAT_S


def test_without_requests_the_heart_rests_and_nothing_lags() -> None:
    async def serve() -> tuple[float, int, int]:
        beats: list[float] = []
        lag = LoopLag(asyncio.get_running_loop(), beats.append)
        time.sleep(2 * BEAT_S)
        before_s = lag.current_s()
        with lag.in_flight():
            while not beats:
                await asyncio.sleep(BEAT_S)
        while lag.current_s() or lag.is_beating:
            await asyncio.sleep(BEAT_S)
        rested = len(beats)
        await asyncio.sleep(4 * BEAT_S)
        return before_s, rested, len(beats)

    before_s, rested, later = asyncio.run(serve())
    assert before_s == 0.0
    assert later == rested
