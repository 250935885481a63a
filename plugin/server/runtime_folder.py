"""A folder for files that the processes of one user share while they run."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from plugin.errors import CommandError


class RuntimeFolderError(CommandError):
    """The folder belongs to another user, or others may use it."""


def make_runtime_folder(*parts: str) -> Path:
    """Return this user's folder for `parts`, and create it if it is missing.

    It is below the system's folder for temporary files (TMPDIR) and closed to other users. `parts` may hold
    secrets: the folder's name is a digest of them.

    Raises:
        RuntimeFolderError: another user has access to the folder.
    """
    top = Path(tempfile.gettempdir()) / f"twinrank-{os.getuid()}"
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    for folder in (top, top / digest):
        folder.mkdir(mode=0o700, exist_ok=True)
        _check(folder)
    return top / digest


def _check(folder: Path) -> None:
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RuntimeFolderError(
            f"expected {folder} to be a folder of this user alone (mode 700), found another owner,"
            " kind or mode. Remove it, or set TMPDIR to a folder of your own"
        )
