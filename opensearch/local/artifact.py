"""The OpenSearch distribution, fetched once by its Maven coordinates."""

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from opensearch.errors import MavenError
from opensearch.local.folders import check_disk_space, explain_full_disk, hold_lock, make_readable
from opensearch.local.java import Java
from opensearch.local.maven import Maven


@dataclass(frozen=True)
class Distribution:
    """A server's Maven coordinates and the disk space that it takes.

    The zip file, its unpacked copy and Maven's own copy exist side by side for a moment.
    """

    version: str = "3.8.0"
    group: str = "org.opensearch.distribution.integ-test-zip"
    name: str = "opensearch"
    needed_bytes: int = 600_000_000

    @property
    def coordinates(self) -> str:
        """Return group, name, version and packaging as Maven reads them."""
        return f"{self.group}:{self.name}:{self.version}:zip"


def install(
    home: Path,
    java: Java,
    distribution: Distribution | None = None,
    *,
    search_path: str | None = None,
    timeout_s: float = 900,
) -> Path:
    """Return the folder of the unpacked server under `home`; fetch it first if it is missing.

    Atomic: the folder appears complete or not at all, and of several callers one fetches while the
    others wait. Raises MavenError, DiskSpaceError or FolderError.
    """
    wanted = distribution or Distribution()
    target = home / f"{wanted.name}-{wanted.version}"
    if target.is_dir():
        return target
    with hold_lock(home / "install.lock"), explain_full_disk(home):
        if not target.is_dir():
            _remove_leftovers(home)
            check_disk_space(home, wanted.needed_bytes)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as temporary:
                maven = Maven(java, search_path, timeout_s)
                archive = maven.copy(wanted.coordinates, Path(temporary))
                _unpack(archive, wanted).rename(target)
    return target


def _remove_leftovers(home: Path) -> None:
    # Of a process that was killed; the lock shows that no other process uses them.
    for folder in home.glob(".unpacking-*"):
        shutil.rmtree(folder)


def _unpack(archive: Path, wanted: Distribution) -> Path:
    try:
        with zipfile.ZipFile(archive) as members:
            members.extractall(archive.parent)
    except zipfile.BadZipFile as error:
        raise MavenError(
            f"Expected {wanted.coordinates} to be a zip file, but: {error}. Delete it from Maven's local "
            "repository and try again."
        ) from error
    root = archive.parent / f"{wanted.name}-{wanted.version}"
    for script in (root / "bin").iterdir():
        script.chmod(0o755)  # zipfile drops the mode
    make_readable(root)
    return root
