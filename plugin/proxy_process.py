"""The proxy as a process of its own: started, waited for, stopped."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plugin.search_client import SearchClient, SearchError

_APPLICATION = Path(__file__).resolve().parent.parent
_HEALTH = "/_plugins/_rerank/health"


class ProxyError(Exception):
    """The proxy did not start: says why, with the last lines of its log."""


@dataclass(frozen=True)
class ProxyProcess:
    """A running proxy: its address, process id and log file."""

    url: str
    pid: int
    log: Path


def start_proxy(upstream: str, log: Path, *, port: int, wait_s: float = 60.0) -> ProxyProcess:
    """Start `twinrank serve` in the background and wait until it answers.

    The process has a session of its own, so that Ctrl-C in the terminal that started it does not end it.

    Raises:
        ProxyError: it ended, or did not answer within `wait_s`; nothing is left running then.
    """
    url = f"http://127.0.0.1:{port}"
    serve = ["serve", "--listen", f"127.0.0.1:{port}", "--upstream", upstream]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "plugin", *serve],
            cwd=_APPLICATION,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_for(process, url, log, wait_s)
    except BaseException:  # Ctrl-C too: nothing that was half started stays
        stop_process(process.pid)
        process.wait()
        raise
    return ProxyProcess(url, process.pid, log)


@contextmanager
def running_proxy(upstream: str, log: Path, *, port: int | None = None) -> Iterator[ProxyProcess]:
    """Run a proxy, on a free port unless one is given, for as long as the block lasts."""
    proxy = start_proxy(upstream, log, port=port or free_port())
    try:
        yield proxy
    finally:
        stop_process(proxy.pid)


def stop_process(pid: int, *, wait_s: float = 10.0) -> bool:
    """End a process by SIGTERM, by SIGKILL where that does not help; False when there was none."""
    if not _send(pid, signal.SIGTERM):
        return False
    deadline = time.monotonic() + wait_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if alive(pid):
        _send(pid, signal.SIGKILL)
    return True


def alive(pid: int) -> bool:
    """Return whether a process runs; a child of ours that has ended is collected first."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # not our child: another run of this program started it
    return _send(pid, 0)


def free_port(preferred: int = 0) -> int:
    """Return the preferred loopback port where it is free, else any free one."""
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", preferred))
        except OSError:
            listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def answers(url: str) -> bool:
    """Return whether a proxy answers its health check at `url`."""
    client = SearchClient(url, timeout_s=2.0)
    try:
        client.request("GET", _HEALTH)
    except SearchError:
        return False
    finally:
        client.close()
    return True


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not answers(url):
        if process.poll() is not None:
            raise ProxyError(f"the proxy ended with status {process.returncode}:\n{_last_lines(log)}")
        if time.monotonic() > deadline:
            raise ProxyError(f"the proxy did not answer at {url} within {wait_s:.0f} s:\n{_last_lines(log)}")
        time.sleep(0.1)


def _last_lines(log: Path, count: int = 8) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-count:])


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
