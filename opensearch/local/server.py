"""A real OpenSearch on this machine, for the demo, for trying things out, and for tests."""

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opensearch.errors import PortError, ServerStartError
from opensearch.local.artifact import Distribution, install
from opensearch.local.config import ServerFolders, Setting, server_settings, write_config
from opensearch.local.folders import (
    Owner,
    change_owner,
    check_disk_space,
    check_trusted,
    check_usable,
    explain_full_disk,
    hold_lock,
    make_folder,
    unprivileged_owner,
)
from opensearch.local.java import Java, ensure_reachable, find_java
from opensearch.local.process import ServerProcess, read_birth, read_process

HOST = "127.0.0.1"
DEFAULT_PORT = 9200
_SETTLED = {"green", "yellow"}


@dataclass(frozen=True)
class ServerStatus:
    """The status of a local server. Without a running one only `folder` is set.

    `health` is the cluster's (green, yellow, red), or None while it does not answer.
    """

    running: bool
    folder: str
    url: str | None = None
    pid: int | None = None
    http_port: int | None = None
    transport_port: int | None = None
    health: str | None = None


@dataclass
class LocalServer:
    """One OpenSearch node with its own folder. Any process may stop what another has started.

    `home` holds the fetched distribution, shared by all servers. `folder` holds this server's config,
    data and logs (default: `home/server`). A port of 0 means any free one. `heap` is as Java takes it:
    "512m", "2g"; `java_options` are further options of the Java machine. `java` is the installation to
    use, else `java_home` and the usual places are searched. `distribution` is an unpacked server to run in
    place of the one that is fetched, `settings` are added to its opensearch.yml.
    """

    home: Path
    folder: Path | None = None
    http_port: int = DEFAULT_PORT
    transport_port: int = 0
    heap: str = "512m"
    java_options: tuple[str, ...] = ()
    java: Java | None = None
    java_home: Path | None = None
    start_timeout_s: float = 180.0
    stop_timeout_s: float = 30.0
    needed_bytes: int = 300_000_000
    distribution: Path | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home = self.home.absolute()
        self.folders = ServerFolders((self.folder or self.home / "server").absolute())
        self._lock = self.folders.root / "server.lock"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, *, fresh: bool = False) -> str:
        """Start the server if it does not run yet, wait until it is ready, and return its URL.

        `fresh` deletes earlier data first. A server that already runs in this folder is kept, if it is on
        the wanted port. Raises a kind of LocalServerError; no server that this call started runs then.
        """
        owner = unprivileged_owner()
        for folder in (self.home, self.folders.root):
            make_folder(folder)
            check_trusted(folder)
        check_usable(self.folders.root, owner)
        with hold_lock(self._lock):
            running = read_process(self.folders.process)
            if running and fresh:
                self._end(running)
            elif running:
                return self._join_running(running)
            return self._launch(owner, fresh=fresh)

    def stop(self) -> bool:
        """Stop the server; return whether one ran. Its data stays."""
        if not self.folders.root.is_dir():
            return False
        with hold_lock(self._lock):
            running = read_process(self.folders.process)
            if running:
                self._end(running)
        return running is not None

    def status(self) -> ServerStatus:
        """Return what runs in this server's folder, asked just now."""
        running = read_process(self.folders.process)
        if not running:
            return ServerStatus(running=False, folder=str(self.folders.root))
        return ServerStatus(
            running=True,
            folder=str(self.folders.root),
            url=_build_url(running.http_port),
            pid=running.pid,
            http_port=running.http_port,
            transport_port=running.transport_port,
            health=_get(running.http_port, "/_cluster/health").get("status"),
        )

    def last_log_lines(self, count: int = 12) -> str:
        """Return the end of what the server wrote, indented, for an error message."""
        if not self.folders.console.is_file():
            return "  (nothing)"
        lines = self.folders.console.read_text(errors="replace").splitlines()
        return "\n".join(f"  {line[:300]}" for line in lines[-count:]) or "  (nothing)"

    def _launch(self, owner: Owner | None, *, fresh: bool) -> str:
        http_port = _choose_port(self.http_port, "HTTP")
        transport_port = _choose_port(self.transport_port, "transport", other_than=http_port)
        java = ensure_reachable(self.java or find_java(self.java_home), owner, self.home)
        distribution = self.distribution or install(self.home, java, Distribution())
        check_usable(distribution, owner)
        settings = {**server_settings(self.folders, http_port, transport_port), **self.settings}
        try:
            with explain_full_disk(self.folders.root):
                self._prepare(distribution, java, settings, owner, fresh=fresh)
                self._child = self._spawn(distribution, java, owner)
        except OSError as error:
            raise ServerStartError(
                f"OpenSearch could not be started in {self.folders.root}: {error}. "
                f"If its files are damaged, delete {distribution} and start again."
            ) from error
        process = ServerProcess(self._child.pid, read_birth(self._child.pid) or "", http_port, transport_port)
        try:
            process.write(self.folders.process)
            return self._await_ready(process)
        except BaseException:  # also on Ctrl-C: a server that is not ready must not stay behind
            self._end(process)
            raise

    def _prepare(
        self,
        distribution: Path,
        java: Java,
        settings: Mapping[str, Setting],
        owner: Owner | None,
        *,
        fresh: bool,
    ) -> None:
        folders = self.folders
        check_disk_space(folders.root, self.needed_bytes)
        for folder in (folders.temporary, folders.logs, *([folders.data] if fresh else [])):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (folders.temporary, folders.logs, folders.data):
            make_folder(folder)
        own_options = (f"-Xms{self.heap}", f"-Xmx{self.heap}", *self.java_options)
        write_config(distribution, folders, settings, java, own_options)
        for folder in (folders.temporary, folders.logs, folders.data, folders.config):
            change_owner(folder, owner)

    def _spawn(self, distribution: Path, java: Java, owner: Owner | None) -> subprocess.Popen[bytes]:
        # A short environment: the caller's JVM options and secrets stay with the caller.
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "OPENSEARCH_JAVA_HOME": str(java.home),
            "OPENSEARCH_PATH_CONF": str(self.folders.config),
            "OPENSEARCH_TMPDIR": str(self.folders.temporary),
        }
        with self.folders.console.open("wb") as console:
            return subprocess.Popen(  # noqa: S603 - no shell, and all parts are known
                [distribution / "bin" / "opensearch"],
                env=environment,
                cwd=distribution,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the caller's terminal is not meant for it
                user=owner.uid if owner else None,
                group=owner.gid if owner else None,
                extra_groups=[] if owner else None,
            )

    def _await_ready(self, process: ServerProcess) -> str:
        deadline = time.monotonic() + self.start_timeout_s
        while not _serves(process):
            if not process.alive:
                raise ServerStartError(f"OpenSearch ended while starting. {self._last_lines()}")
            if time.monotonic() > deadline:
                raise ServerStartError(
                    f"OpenSearch was not ready within {self.start_timeout_s:g} s. "
                    f"Give it more time or memory. {self._last_lines()}"
                )
            time.sleep(0.1)
        return _build_url(process.http_port)

    def _last_lines(self) -> str:
        return f"Its last lines, from {self.folders.console}:\n{self.last_log_lines()}"

    def _join_running(self, running: ServerProcess) -> str:
        # It may still be starting, if the process that started it was killed.
        if self.http_port not in {0, running.http_port}:
            raise PortError(
                f"Expected port {self.http_port}, but this server already runs on port {running.http_port}. "
                "Stop it first, or use that port."
            )
        return self._await_ready(running)

    def _end(self, process: ServerProcess) -> None:
        process.end(self.stop_timeout_s)
        if self._child and self._child.pid == process.pid:
            self._child.wait()
        self.folders.process.unlink(missing_ok=True)


def _build_url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _choose_port(wanted: int, kind: str, *, other_than: int = 0) -> int:
    """Return `wanted`, or any free port for 0. Raises PortError if another process listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except (OSError, OverflowError) as error:
            raise PortError(
                f"Expected {kind} port {wanted} to be free, but: {error}. "
                "Stop what listens there, or choose another port (0: any free one)."
            ) from error
        port: int = probe.getsockname()[1]
    return _choose_port(0, kind, other_than=other_than) if port == other_than else port


def _serves(process: ServerProcess) -> bool:
    """Return whether this very process answers on its port, and its cluster has settled."""
    nodes = _get(process.http_port, "/_nodes/_local/process").get("nodes", {})
    if not any(node["process"]["id"] == process.pid for node in nodes.values()):
        return False
    return _get(process.http_port, "/_cluster/health").get("status") in _SETTLED


def _get(port: int, path: str) -> dict[str, Any]:
    """Return the JSON object at `path`, or an empty one if the response is none."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}
