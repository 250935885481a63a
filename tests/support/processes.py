"""Other processes, as Linux lists them."""

import os
from contextlib import suppress
from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's children; none if there is no such process, or no /proc."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def members_of(session: int) -> list[int]:
    """Return the process ids of a session, which has its leader's id, whatever their process groups."""
    found = list[int]()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(_read_stat(int(process.name))[3]) == session:
                found.append(int(process.name))
    return found


def read_processor_s(pid: int) -> float:
    """Return the processor seconds that a process has used; 0.0 if it has ended."""
    try:
        fields = _read_stat(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_stat(pid: int) -> list[str]:
    """Return the members of /proc/PID/stat from the state on, which follows the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
