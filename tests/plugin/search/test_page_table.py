"""The table by which pages agree: shared, bounded, forgetful, and never wrong about what it does not know."""

import subprocess
import sys

from plugin.search.page_table import NUM_SLOTS, REMEMBERED_S, PageTable
from tests.support.paths import ROOT

KEY = 0xF1E2D3C4B5A69788


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_decision_is_remembered_for_a_minute() -> None:
    clock = Clock()
    table = PageTable(clock=clock)
    assert table.was_reranked(KEY) is None
    table.record(KEY, reranked=True)
    assert table.was_reranked(KEY) is True
    assert table.was_reranked(KEY + 1) is None
    clock.now_s += REMEMBERED_S
    assert table.was_reranked(KEY) is True
    table.record(KEY, reranked=False)
    clock.now_s += REMEMBERED_S
    assert table.was_reranked(KEY) is False
    clock.now_s += 1
    assert table.was_reranked(KEY) is None


def test_a_search_whose_slot_is_taken_is_forgotten() -> None:
    table = PageTable(bytearray(16 * 8))
    table.record(3, reranked=True)
    table.record(3 + 8, reranked=False)
    assert (table.was_reranked(3), table.was_reranked(3 + 8)) == (None, False)


def test_a_slot_that_is_half_written_is_none() -> None:
    """Two workers write at once: any part of one slot beside the rest of the other."""
    clock, first, second = Clock(), bytearray(16), bytearray(16)
    PageTable(first, clock).record(KEY, reranked=True)
    clock.now_s += 3
    PageTable(second, clock).record(KEY, reranked=False)
    for cut in range(1, 16):
        torn = first[:cut] + second[cut:]
        known = PageTable(torn, clock).was_reranked(KEY)
        assert known is None or torn in (first, second), cut


def test_a_bit_that_flipped_is_seen() -> None:
    memory = bytearray(16)
    table = PageTable(memory)
    table.record(KEY, reranked=True)
    for bit in range(16 * 8):
        memory[bit // 8] ^= 1 << bit % 8
        assert table.was_reranked(KEY) is None
        memory[bit // 8] ^= 1 << bit % 8
    assert table.was_reranked(KEY) is True


def test_processes_that_are_forked_share_one_table() -> None:
    code = f"""
import os
from plugin.search.page_table import PageTable
table = PageTable.shared()
if os.fork() == 0:
    table.record({KEY}, reranked=True)
    os._exit(0)
os.wait()
print(table.was_reranked({KEY}), len(table._memory))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", str(16 * NUM_SLOTS)]
