"""The sync beside the proxy: `twinrank sync --follow` as a child process of gunicorn's master."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

from plugin.telemetry.metrics import forget_process
from plugin.upstream.connecting import Connecting

_log = logging.getLogger("twinrank")

RESTART_S = 5.0
STOP_S = 20.0


class SyncProcess:
    """Runs the sync, and restarts it if it ends.

    It is a separate process, since encoding documents would slow down the searches of a worker.
    """

    def __init__(self, connecting: Connecting, name: str, bundle: Path) -> None:
        self._environment = connecting.environment()
        self._command = [
            sys.executable,
            "-m",
            "plugin",
            "sync",
            name,
            "--follow",
            "--until-stdin-ends",
            "--bundle",
            str(bundle.resolve()),
        ]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the sync."""
        self._thread.start()

    def connect_as(self, connecting: Connecting) -> None:
        """Go on with another connection: if it differs, the feed ends after its batch and starts again."""
        environment = connecting.environment()
        if environment != self._environment:
            self._environment = environment
            self._end_child()

    def stop(self) -> None:
        """Stop the sync after its current batch."""
        self._stopping.set()
        self._end_child()
        self._thread.join(STOP_S)

    def _end_child(self) -> None:
        if self._child is not None and self._child.stdin is not None:
            self._child.stdin.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            # its standard input ends when this process does, however it ends
            self._child = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                self._command, cwd=_APPLICATION, env=self._environment, stdin=subprocess.PIPE
            )
            self._child.wait()
            forget_process(self._child.pid)
            if not self._stopping.wait(RESTART_S):
                _log.warning("the sync beside the proxy has ended and is restarted")


_APPLICATION = Path(__file__).resolve().parents[2]
