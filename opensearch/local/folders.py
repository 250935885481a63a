"""Folders of the local server: locks, disk space, and access."""

import errno
import fcntl
import os
import pwd
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opensearch.errors import DiskSpaceError, FolderError


@dataclass(frozen=True)
class Owner:
    """The account that a server runs as."""

    name: str
    uid: int
    gid: int


def unprivileged_owner(user: str = "nobody") -> Owner | None:
    """Return the account to run a server as, or None if this process is not root and keeps it.

    OpenSearch refuses to run as root. Raises FolderError if `user` does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise FolderError(
            f"OpenSearch does not run as root, and the account {user!r} to run it as does not exist. "
            f"Create it (useradd --system {user}), or run this as another user."
        ) from error
    return Owner(user, entry.pw_uid, entry.pw_gid)


@contextmanager
def hold_lock(lock: Path) -> Iterator[None]:
    """Hold the file `lock`, created if missing; a second caller, in any process, waits for it.

    The operating system frees the lock of a process that dies.
    """
    make_folder(lock.parent)
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def make_folder(folder: Path) -> None:
    """Create `folder` and its missing parents, each open to be read by all whatever the umask.

    Raises FolderError if that is not allowed, or if a part of the path is a file.
    """
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    try:
        for part in reversed(missing):
            part.mkdir(exist_ok=True)
            part.chmod(0o755)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
    except OSError as error:
        raise FolderError(
            f"Expected to create the folder {folder}, but: {error.strerror}. Choose another home folder."
        ) from error


def check_trusted(folder: Path) -> None:
    """Raise FolderError if another user owns `folder`, who could have put programs there."""
    found = folder.stat().st_uid
    if found not in {os.geteuid(), 0}:
        raise FolderError(
            f"Expected {folder}, from where OpenSearch is started, to belong to user id {os.geteuid()}, "
            f"found {found}. Choose another home folder, or take it over: chown -R {os.geteuid()} {folder}"
        )


def check_disk_space(folder: Path, needed_bytes: int) -> None:
    """Raise DiskSpaceError if the disk of `folder` has less than `needed_bytes` left."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise DiskSpaceError(
            f"Expected {needed_bytes / 1e6:,.0f} MB free for {folder}, found {free_bytes / 1e6:,.0f} MB. "
            "Free some space, or choose a home folder on another disk."
        )


@contextmanager
def explain_full_disk(folder: Path) -> Iterator[None]:
    """Turn the operating system's 'no space left' into a DiskSpaceError about `folder`."""
    try:
        yield
    except OSError as error:
        if not _says_full(error):
            raise
        raise DiskSpaceError(
            f"The disk of {folder} became full while writing to it. "
            "Free some space, or choose a home folder on another disk."
        ) from error


def _says_full(error: OSError) -> bool:
    full = {errno.ENOSPC, errno.EDQUOT}
    # copytree gathers its errors into one that has no number, only their texts.
    gathered = isinstance(error, shutil.Error) and any(os.strerror(number) in str(error) for number in full)
    return gathered or error.errno in full


def check_usable(folder: Path, owner: Owner | None) -> None:
    """Raise FolderError if a server of `owner` (None: this user) could not work in `folder`.

    OpenSearch's start script splits its options at blanks, so no path may contain one.
    """
    if any(character.isspace() for character in str(folder)):
        raise FolderError(
            f"OpenSearch cannot run in a path with blanks: {folder}. Choose another home folder."
        )
    closed = find_closed_parent(folder, owner) if owner else None
    if owner and closed:
        raise FolderError(
            f"The server runs as {owner.name}, who cannot enter {closed} on the way to {folder}. "
            f"Choose another home folder, or allow it (chmod o+x {closed})."
        )


def find_closed_parent(folder: Path, owner: Owner) -> Path | None:
    """Return the topmost folder on the way to `folder`, itself included, that `owner` cannot enter."""
    for part in (*reversed(folder.absolute().parents), folder.absolute()):
        if part.exists() and not _may_enter(part.stat(), owner):
            return part
    return None


def _may_enter(status: os.stat_result, owner: Owner) -> bool:
    # As the kernel decides: the first class that fits counts, not the most generous one.
    if status.st_uid == owner.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == owner.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def make_readable(folder: Path) -> None:
    """Let everybody read `folder`, and execute in it what its owner may execute."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o755 if executable else 0o644)


def change_owner(folder: Path, owner: Owner | None) -> None:
    """Make `owner` (None: nothing to do) the owner of `folder` and of all in it."""
    if owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
