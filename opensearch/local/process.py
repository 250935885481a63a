"""The server's process, recorded in a file so that any process can find it and never mistakes it."""

import json
import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from opensearch.errors import LocalServerError

HELPERS_S = 5.0
"""How long to wait for the rest of a killed group."""


@dataclass(frozen=True)
class ServerProcess:
    """A started server, the leader of its process group.

    `birth` says when the process began, so that a reused pid is not taken for it.
    """

    pid: int
    birth: str
    http_port: int
    transport_port: int

    @property
    def alive(self) -> bool:
        """Return whether this very process still runs."""
        return read_birth(self.pid) == self.birth

    def write(self, file: Path) -> None:
        """Record this process in `file`, complete or not at all."""
        draft = file.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self)) + "\n")
        draft.rename(file)

    def end(self, within_s: float) -> None:
        """End the process: ask, wait, then kill. Returns when it is gone.

        Raises LocalServerError if it belongs to another user, or outlives the kill.
        """
        for number, wait_s in ((signal.SIGTERM, within_s), (signal.SIGKILL, 10.0)):
            if self._signal_and_wait(number, wait_s):
                self._end_helpers()
                return
        raise LocalServerError(f"The server, process {self.pid}, does not end. Look at it: ps -p {self.pid}")

    def _signal_and_wait(self, number: signal.Signals, wait_s: float) -> bool:
        try:
            if self.alive:
                # Its whole group: the start script may still be waiting for a helper of its own.
                os.killpg(self.pid, number)
        except ProcessLookupError:
            return True
        except PermissionError as error:
            raise LocalServerError(
                f"The server, process {self.pid}, belongs to another user. Stop it as that user or as root."
            ) from error
        deadline = time.monotonic() + wait_s
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.alive

    def _end_helpers(self) -> None:
        """End what is left of the group: a helper of the start script may take longer to end than it."""
        with suppress(ProcessLookupError, PermissionError):  # none is left; or, on macOS, the leader alone
            os.killpg(self.pid, signal.SIGKILL)
        deadline = time.monotonic() + HELPERS_S
        while _runs_in_group(self.pid) and time.monotonic() < deadline:
            time.sleep(0.01)


def read_process(file: Path) -> ServerProcess | None:
    """Return the process recorded in `file` if it still runs; None otherwise, or without a file."""
    try:
        process = ServerProcess(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise LocalServerError(
            f"Expected the record of a server in {file}, but cannot read it ({error}). "
            "End that server by hand if one runs, then delete the file."
        ) from error
    return process if process.alive else None


def read_birth(pid: int) -> str | None:
    """Return when process `pid` began, as a text that no other process of that number shares.

    Linux: the boot's id and the clock ticks since (proc_pid_stat(5), fields 3 and 22). Elsewhere: ps.
    None if no such process runs, or if it has ended and only waits for its parent.
    """
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return _ask_ps(pid)
    fields = _read_status(Path(f"/proc/{pid}"))
    return f"{boot.read_text().strip()} {fields[19]}" if fields else None


def _read_status(process: Path) -> list[str] | None:
    """Return the fields of `stat` from the third on, the state; None if no such process runs any more."""
    try:
        status = (process / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field, the name in brackets, may itself contain blanks and brackets.
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else fields


def _runs_in_group(group: int) -> bool:
    """Return whether a process of this group still runs, on Linux; elsewhere always False."""
    found = (_read_status(process) for process in Path("/proc").glob("[0-9]*"))
    return any(fields is not None and int(fields[2]) == group for fields in found)


def _ask_ps(pid: int) -> str | None:
    listing = subprocess.run(  # noqa: S603 - no shell, and all parts are known
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, birth = listing.stdout.strip().partition(" ")
    return None if not birth or state.startswith("Z") else birth.strip()
