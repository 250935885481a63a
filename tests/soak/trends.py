"""What the workers of a running proxy hold, sample by sample, and whether it grows."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

WARM_UP_SHARE = 1 / 3
"""What of the run goes before: caches fill, and the allocator finds its size."""

FLAT_MB = 10.0
FLAT_SHARE = 0.05
FLAT_DESCRIPTORS = 5
"""A worker is flat that after the warm-up gains less than the larger of both, and fewer descriptors."""


@dataclass(frozen=True)
class Sample:
    """One look at one worker: seconds since the beginning, MB, descriptors, threads."""

    at_s: float
    pid: int
    rss_mb: float
    pss_mb: float
    descriptors: int
    threads: int


@dataclass(frozen=True)
class Trend:
    """What a worker's samples say: its last size, and the growth of the fitted line."""

    pid: int
    pss_mb: float
    slope_mb_h: float
    growth_mb: float
    descriptors: tuple[int, int]
    threads: tuple[int, int]

    @property
    def is_flat(self) -> bool:
        """Whether neither memory nor descriptors grow."""
        few = self.descriptors[1] - self.descriptors[0] <= FLAT_DESCRIPTORS
        return few and self.growth_mb <= max(FLAT_MB, FLAT_SHARE * self.pss_mb)


def sampled(master: int, started_s: float) -> list[Sample]:
    """Look at every worker of a running proxy."""
    listed = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [_sample(int(pid), time.monotonic() - started_s) for pid in listed]


def _sample(pid: int, at_s: float) -> Sample:
    process = Path(f"/proc/{pid}")
    lines = (process / "smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size.split()[0]) / 1024 for name, size in (line.split(":") for line in lines)}
    descriptors = len(list((process / "fd").iterdir()))
    threads = len(list((process / "task").iterdir()))
    return Sample(at_s, pid, sizes["Rss"], sizes["Pss"], descriptors, threads)


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Fit a line through what each worker that lived to the end held after the warm-up.

    The line is Theil and Sen's, the median of the slopes between all pairs: single peaks do not bend it.
    """
    end_s = max(sample.at_s for sample in samples)
    found = []
    for pid in sorted({sample.pid for sample in samples}):
        own = [one for one in samples if one.pid == pid and one.at_s >= WARM_UP_SHARE * end_s]
        if len(own) < 2:
            continue
        slope_s = _theil_sen([one.at_s for one in own], [one.pss_mb for one in own])
        half = len(own) // 2
        before, after = own[:half], own[half:]
        found.append(
            Trend(
                pid, own[-1].pss_mb, slope_s * 3600, slope_s * (own[-1].at_s - own[0].at_s),
                (max(one.descriptors for one in before), max(one.descriptors for one in after)),
                (max(one.threads for one in before), max(one.threads for one in after)),
            )
        )  # fmt: skip
    return found


def _theil_sen(times: Sequence[float], values: Sequence[float]) -> float:
    x, y = np.array(times), np.array(values)
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))
