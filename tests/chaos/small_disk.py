"""A disk that a test can fill."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SIZE = "4m"


@dataclass(frozen=True)
class SmallDisk:
    """A folder on a disk of its own, where the system lets us make one."""

    folder: Path
    is_own: bool

    def fill(self) -> None:
        """Write until no byte is left."""
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))

    def empty(self) -> None:
        """Delete what `fill` wrote."""
        (self.folder / "filler").unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Mount a disk in memory for as long as the block lasts: needs root and the right to mount."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    with suppress(FileNotFoundError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            try:
                yield SmallDisk(folder, is_own=True)
            finally:
                subprocess.run(["umount", "--lazy", str(folder)], check=True)
            return
    yield SmallDisk(folder, is_own=False)
