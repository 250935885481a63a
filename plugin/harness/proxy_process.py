"""The proxy as a separate process: started, waited for, and stopped by this run or a later one."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opensearch.local.process import ServerProcess, read_birth, read_process
from plugin.errors import CommandError
from plugin.upstream.connecting import Connecting
from reranker.bundle import DEFAULT_BUNDLE

HOST = "127.0.0.1"
DEFAULT_PORT = 9100
_APPLICATION = Path(__file__).resolve().parents[2]
_HEALTH = "/_plugins/_rerank/health/live"
_STOP_S = 10.0


class ProxyError(CommandError):
    """The proxy did not start: says why, with the last lines of its log."""


@dataclass(frozen=True)
class ProxyProcess:
    """A running proxy: its address and its process."""

    url: str
    child: subprocess.Popen[bytes]


def start_proxy(
    upstream: str | Connecting | None,
    folder: Path,
    *,
    port: int,
    bundle: Path = DEFAULT_BUNDLE,
    wait_s: float = 60.0,
    arguments: Sequence[str] = (),
) -> ProxyProcess:
    """Start `twinrank serve` in the background and wait until it answers. `folder` gets its log and record.

    `upstream` is OpenSearch, by its URL or with all its options; None: as the environment says. `arguments`
    are further arguments of the command.

    The process has its own session, so that Ctrl-C in the terminal does not stop it.

    Raises:
        ProxyError: it ended, or did not answer within `wait_s`; nothing is left running.
    """
    log = folder / "proxy.log"
    where = ["--listen", f"{HOST}:{port}", "--bundle", str(bundle.resolve())]
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-m", "plugin", "serve", *where, *arguments],
            cwd=_APPLICATION,
            env=_environment(upstream),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = ServerProcess(child.pid, read_birth(child.pid) or "", port, 0)
    try:
        process.write(_record(folder))
        _wait_for(child, port, log, wait_s)
    except BaseException:  # also for Ctrl-C: nothing half started stays
        stop_proxy(folder)
        child.wait()
        raise
    return ProxyProcess(f"http://{HOST}:{port}", child)


def _environment(upstream: str | Connecting | None) -> dict[str, str] | None:
    """Return the environment that names OpenSearch. Arguments must not: the URL may hold a password."""
    connecting = Connecting(upstream) if isinstance(upstream, str) else upstream
    return None if connecting is None else connecting.environment()


def stop_proxy(folder: Path) -> bool:
    """Stop the proxy that is recorded in `folder`; return whether one ran."""
    running = read_process(_record(folder))
    if running:
        running.end(_STOP_S)
    _record(folder).unlink(missing_ok=True)
    return running is not None


@contextmanager
def running_proxy(
    upstream: str | Connecting, folder: Path, *, bundle: Path = DEFAULT_BUNDLE, arguments: Sequence[str] = ()
) -> Iterator[ProxyProcess]:
    """Run a proxy on a free port while the block runs.

    Raises:
        ProxyError: it does not start.
    """
    proxy = start_proxy(upstream, folder, port=free_port(), bundle=bundle, arguments=arguments)
    try:
        yield proxy
    finally:
        stop_proxy(folder)
        proxy.child.wait()


def free_port(preferred: int = 0) -> int:
    """Return the preferred loopback port if it is free, else any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, preferred))
        except OSError:
            probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def _record(folder: Path) -> Path:
    return folder / "proxy.json"


def _wait_for(child: subprocess.Popen[bytes], port: int, log: Path, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not _answers(port):
        if child.poll() is not None:
            raise ProxyError(f"the proxy ended with status {child.returncode}:\n{_last_lines(log)}")
        if time.monotonic() > deadline:
            raise ProxyError(
                f"the proxy did not answer on port {port} within {wait_s:.0f} s:\n{_last_lines(log)}"
            )
        time.sleep(0.1)


def _answers(port: int) -> bool:
    """Whether the proxy answers, with or without OpenSearch."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5.0)
    try:
        connection.request("GET", _HEALTH)
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _last_lines(log: Path, count: int = 8) -> str:
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-count:])
