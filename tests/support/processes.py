"""Child processes, as Linux lists them."""

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """Return the process ids of a process's children; none if there is no such process, or no /proc."""
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []
