"""The proxy under test, as processes of its own, with a switch for its faults."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plugin.harness.proxy_process import free_port
from tests.support.cores import core_arguments
from tests.support.http import raw_http
from tests.support.paths import TINY_BUNDLE

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """The proxy under test."""

    url: str
    child: subprocess.Popen[bytes]
    switch: Path
    log: Path
    num_killed: int = 0

    def worker_pids(self) -> list[int]:
        """Return the processes that answer."""
        found = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [int(pid) for pid in found.split()]


@contextmanager
def spoiled_proxy(url: str, folder: Path, temporary: Path, core: str) -> Iterator[Running]:
    """Run the proxy with two workers and a switch for its faults; `temporary` is its folder for files."""
    switch, log = folder / "switch", folder / "proxy.log"
    switch.write_text("")
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "tests.chaos.proxy", str(switch), "serve", "--listen", address,
               "--upstream", url, "--bundle", str(TINY_BUNDLE), "--workers", "2",
               *core_arguments(core)]  # fmt: skip
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=output, env={**os.environ, "TMPDIR": str(temporary)}
        )
    try:
        wait(lambda: is_healthy(f"http://{address}"), 120.0, log)
        yield Running(f"http://{address}", child, switch, log)
    finally:
        child.terminate()
        child.wait(60)


def is_healthy(url: str) -> bool:
    """Whether the proxy answers, and reaches OpenSearch."""
    try:
        return raw_http.ask(url, "GET", "/_plugins/_rerank/health").status == 200
    except OSError:
        return False


def wait(is_so: Callable[[], bool], seconds: float, log: Path) -> None:
    """Wait until something is so; else fail with the end of the proxy's log."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.1)
