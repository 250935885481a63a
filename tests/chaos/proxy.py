"""The proxy, with a model, a clock and limits that a test can spoil.

Run by `python -m tests.chaos.proxy SWITCH serve ...`; the file SWITCH names the fault of now. The product
knows nothing of it: what is spoiled is put around the model, the clock and the process here.
"""

import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from plugin.encoding.model import Model
from plugin.encoding.query_encoder import CachedQueryEncoder
from reranker.arrays import Floats
from reranker.bundle import Bundle
from reranker.combiner import Combiner

FAULTS = ("model_raises", "model_slow", "model_nan", "model_dimension", "clock_ahead", "clock_back",
          "memory_short", "descriptors_short")  # fmt: skip

SLOW_S = 0.6
RECOVERY_S = 2.0
"""The circuit is open for less time than usual after faults, so that the next kind of fault is met soon."""

CACHE_ENTRIES = 4
"""Few query vectors are kept, so that the model is asked, and its faults are met."""

_LIMITED = {"memory_short": resource.RLIMIT_AS, "descriptors_short": resource.RLIMIT_NOFILE}
_real_time = time.time


class Switch:
    """The fault of now, read by a thread of the worker; limits of the process follow it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._usual = {kind: resource.getrlimit(kind) for kind in _LIMITED.values()}
        self.fault = ""

    def follow(self) -> None:
        """Read the file now and then, for as long as the process lives."""
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                found = self._file.read_text()
            except OSError:  # no descriptor is left: that is the fault
                found = self.fault if self.fault != "descriptors_short" else ""
            if found != self.fault:
                self._limit(found)
                self.fault = found
            time.sleep(0.05)

    def _limit(self, fault: str) -> None:
        for name, kind in _LIMITED.items():
            soft, hard = self._usual[kind]
            if name == fault:
                soft = _memory_bytes() + 16_000_000 if name == "memory_short" else _descriptors() + 3
            resource.setrlimit(kind, (soft, hard))

    def time(self) -> float:
        """Return the time of day, or an hour ahead or back."""
        return _real_time() + {"clock_ahead": 3600.0, "clock_back": -3600.0}.get(self.fault, 0.0)

    def spoiled(self, encode: Callable[[str], Floats]) -> Callable[[str], Floats]:
        """Return an encoder with the model's faults."""

        def encoded(text: str) -> Floats:
            if self.fault == "model_raises":
                raise RuntimeError("the model has had enough")
            if self.fault == "model_slow":
                time.sleep(SLOW_S)
            vector = encode(text)
            if self.fault == "model_nan":
                return np.full_like(vector, np.nan)
            return vector[:3] if self.fault == "model_dimension" else vector

        return encoded


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _descriptors() -> int:
    return max(int(each) for each in os.listdir("/proc/self/fd"))  # noqa: PTH208  # numbers, no paths


def main() -> None:
    """Run `twinrank` with the arguments that follow the switch."""
    from plugin.commands.main import main as command

    switch = Switch(Path(sys.argv.pop(1)))
    load = Model.load

    def spoiled_load(
        bundle: Bundle,
        also: Sequence[Bundle] = (),
        combiners: Mapping[str, Combiner] = MappingProxyType({}),
    ) -> Model:
        model = load(bundle, also, combiners)
        switch.follow()
        encode = switch.spoiled(bundle.load_query_encoder())
        return replace(
            model,
            query_vectors=CachedQueryEncoder(encode, cache_entries=CACHE_ENTRIES, recovery_s=RECOVERY_S),
        )

    Model.load = staticmethod(spoiled_load)  # type: ignore[method-assign]
    time.time = switch.time
    command()


if __name__ == "__main__":
    main()
