"""Room on the disk for a worker's numbers, before it writes any: they are written through memory maps.

A page of a map that the disk has no room for ends the process with SIGBUS; seen: with a full disk each worker
ended at its start, and so did its successors, thousands of times. What is reserved can be written.
"""

import logging
import os
from pathlib import Path

RESERVED_BYTES = 128 * 1024
"""Of each file: about four times what all metrics of a worker take."""

_KINDS = ("counter", "histogram", "gauge_livemax", "gauge_livesum", "gauge_livemostrecent", "gauge_max")
"""How prometheus_client names its files, by type and by the way in which workers' values are joined."""

_log = logging.getLogger("twinrank.metrics")


def reserve(folder: Path, pid: int) -> bool:
    """Make the files of one worker, whole; return whether the disk has room for them. Else nothing stays."""
    files = [folder / f"{kind}_{pid}.db" for kind in _KINDS]
    try:
        for file in files:
            with file.open("ab") as made:
                os.posix_fallocate(made.fileno(), 0, RESERVED_BYTES)
    except OSError as error:
        for file in files:
            file.unlink(missing_ok=True)
        _log.warning("expected room for this worker's numbers in %s, found: %s. It counts apart from"
                     " the others until it is started again", folder, error)  # fmt: skip
        return False
    return True
