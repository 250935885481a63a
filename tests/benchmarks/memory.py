"""Memory of the proxy's workers, as Linux counts it."""

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.samples import Figure
from tests.support.processes import children_of

_MB = 1024.0


def worker_memory(master_pid: int) -> Iterator[Figure]:
    """Yield resident and proportional memory of the workers; nothing where there is no /proc.

    Proportional memory (PSS) counts a page that several processes share once among them.
    """
    rollups = [_rollup(pid) for pid in children_of(master_pid)]
    for key, name, budget in (("Rss", "resident", None), ("Pss", "proportional", 250.0)):
        sizes = sorted(rollup[key] / _MB for rollup in rollups if key in rollup)
        if sizes:
            yield Figure(f"memory of a worker, {name}", sizes[-1], sizes[0], sizes[-1], "MB", budget)


def _rollup(pid: int) -> dict[str, int]:
    """Return kilobytes by name, from /proc/PID/smaps_rollup."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    pairs = (line.split(":") for line in lines)
    return {name: int(size.split()[0]) for name, size in pairs}
