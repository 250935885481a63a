"""The OpenSearch distribution, fetched once by its Maven coordinates."""

import errno
import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from opensearch.errors import MavenError
from opensearch.folders import check_room, full_disk_explained, locked, open_to_all
from opensearch.java import Java

_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


@dataclass(frozen=True)
class Distribution:
    """A server's Maven coordinates and the room that it takes.

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
    """Return the folder of the unpacked server under `home`; fetch it first where it is missing.

    Atomic: the folder appears complete or not at all, and of several callers one fetches while the
    others wait. Raises MavenError, DiskSpaceError or FolderError.
    """
    wanted = distribution or Distribution()
    target = home / f"{wanted.name}-{wanted.version}"
    if target.is_dir():
        return target
    with locked(home / "install.lock"), full_disk_explained(home):
        if not target.is_dir():
            _remove_leftovers(home)
            check_room(home, wanted.needed_bytes)
            with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as temporary:
                archive = _fetch(Path(temporary), java, wanted, search_path, timeout_s)
                _unpack(archive, wanted).rename(target)
    return target


def _remove_leftovers(home: Path) -> None:
    # Of a process that was killed; the lock says that nobody is at work in them.
    for folder in home.glob(".unpacking-*"):
        shutil.rmtree(folder)


def _fetch(folder: Path, java: Java, wanted: Distribution, search_path: str | None, timeout_s: float) -> Path:
    maven = shutil.which("mvn", path=search_path)
    if not maven:
        raise MavenError(
            "Expected Maven's command `mvn` on the path to fetch OpenSearch, found none. "
            "Install it (apt install maven; brew install maven)."
        )
    arguments = [_COPY_GOAL, f"-Dartifact={wanted.coordinates}", f"-DoutputDirectory={folder}"]
    # `env` hands on the whole environment (proxies, MAVEN_OPTS) without our reading it.
    command = ["/usr/bin/env", f"JAVA_HOME={java.home}", maven, "-B", "-q", *arguments]
    try:
        run = subprocess.run(  # noqa: S603 - no shell, and all parts are ours
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as error:
        raise MavenError(
            f"Maven did not fetch {wanted.coordinates} within {timeout_s:g} s. "
            "Check the network and try again."
        ) from error
    archive = folder / f"{wanted.name}-{wanted.version}.zip"
    if run.returncode != 0 or not archive.is_file():
        if os.strerror(errno.ENOSPC) in run.stdout + run.stderr:
            raise OSError(errno.ENOSPC, "Maven had no room")
        last_lines = "\n  ".join(_telling_lines(run.stdout, run.stderr))
        raise MavenError(
            f"Maven could not fetch {wanted.coordinates} (exit status {run.returncode}). Check the network "
            f"and Maven's settings. Its last lines:\n  {last_lines}"
        )
    return archive


def _telling_lines(output: str, errors: str) -> list[str]:
    """Return Maven's last lines, without its advice on itself and the warnings of newer Javas."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", f"{errors}\n{output}").splitlines()
    dull = re.compile(r"\[ERROR\] *($|To see|Re-run|For more|\[Help)|WARNING: |\s*$")
    return [line[:600] for line in plain if not dull.match(line)][-8:]


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
    open_to_all(root)
    return root
