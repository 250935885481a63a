"""A Ray cluster of this machine, and the processes that run slices on it."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plugin.harness.proxy_process import free_port
from tests.support.paths import ROOT
from tests.support.waiting import until


@contextmanager
def ray_cluster(cores: int = 2) -> Iterator[str]:
    """Run a cluster of so many cores while the block runs; yield its address."""
    port, folder = free_port(), Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: sockets
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
         "--port", str(port), "--node-ip-address", "127.0.0.1", "--num-cpus", str(cores),
         "--object-store-memory", str(100 * 1024**2), "--include-dashboard", "false",
         "--disable-usage-stats", "--temp-dir", str(folder)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        until(lambda: any(folder.rglob("sockets/raylet*")), "a Ray cluster", within_s=120)
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        with suppress(subprocess.TimeoutExpired):
            head.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(head.pid, signal.SIGKILL)
        head.wait()
        shutil.rmtree(folder, ignore_errors=True)


def find_actors() -> list[int]:
    """Return the processes that run slices now, of every cluster of this machine."""
    found = list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"ray::SliceWorker.run_slice" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found
