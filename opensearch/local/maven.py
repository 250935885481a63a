"""The user's own Maven, which fetches one file."""

import errno
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opensearch.errors import MavenError
from opensearch.local.java import Java

SYSTEM_TRUST = Path("/etc/ssl/certs/java/cacerts")
"""The file in which Debian and its kin keep the certificate authorities for Java."""

_COPY_GOAL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_COPY_ALL_GOAL = f"{_COPY_GOAL}-dependencies"


@dataclass(frozen=True)
class Maven:
    """The command `mvn` on `search_path` (None: the process's own PATH).

    It runs on `java` if that path has no Java; each call may take `timeout_s`.
    """

    java: Java
    search_path: str | None = None
    timeout_s: float = 900

    def copy(self, coordinates: str, folder: Path) -> Path:
        """Copy the artifact `group:name:version:type` into `folder` and return the file.

        If the network fails, Maven's local repository is enough. Raises MavenError, and OSError (ENOSPC)
        if Maven filled the disk.
        """
        _, name, version, kind = coordinates.split(":")
        file = folder / f"{name}-{version}.{kind}"
        self._fetch(coordinates, folder, _COPY_GOAL, f"-Dartifact={coordinates}")
        if not file.is_file():
            raise MavenError(f"Expected Maven to write {file}, but it did not. Check Maven's settings.")
        return file

    def copy_dependencies(self, pom: Path, folder: Path) -> None:
        """Copy all runtime dependencies of the project `pom` into `folder`.

        Raises as `copy` does.
        """
        self._fetch(f"what {pom.name} names", folder, _COPY_ALL_GOAL, f"-f={pom}", "-DincludeScope=runtime")

    def _fetch(self, what: str, folder: Path, *arguments: str) -> None:
        # -U: a failure that Maven remembers from yesterday is not today's answer.
        failed = self._run("-U", what, folder, arguments)
        if failed and self._run("-o", what, folder, arguments):
            raise MavenError(
                f"Maven could not fetch {what} (exit status {failed.returncode}). Check the network "
                f"and Maven's settings. Its last lines:\n  {_select_last_lines(failed)}"
            )

    def _run(
        self, switch: str, what: str, folder: Path, wanted: Sequence[str]
    ) -> subprocess.CompletedProcess[str] | None:
        """Run Maven; return None if it succeeded, else its output."""
        arguments = ["-B", "-q", switch, *wanted, f"-DoutputDirectory={folder}"]
        try:
            run = subprocess.run(  # noqa: S603 - no shell, and all parts are known
                [*self._command(), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MavenError(
                f"Maven did not fetch {what} within {self.timeout_s:g} s. Check the network and try again."
            ) from error
        if run.returncode and os.strerror(errno.ENOSPC) in run.stdout + run.stderr:
            raise OSError(errno.ENOSPC, "Maven had no disk space", str(folder))
        return run if run.returncode else None

    def _command(self) -> list[str]:
        """Return how to call Maven: as the user does, and on `java` only if the path has none.

        The user's Java trusts the authorities of the user's network. One that a package brings knows only
        the public ones, so it gets the system's, if the system keeps them in Java's form.
        """
        maven = shutil.which("mvn", path=self.search_path)
        if not maven:
            raise MavenError(
                "Expected Maven's command `mvn` on the path to fetch OpenSearch, found none. "
                "Install it (apt install maven; brew install maven)."
            )
        if shutil.which("java", path=self.search_path):
            return [maven]
        trust = [f"-Djavax.net.ssl.trustStore={SYSTEM_TRUST}"] if SYSTEM_TRUST.is_file() else []
        # `env` hands on the whole environment (proxies, MAVEN_OPTS) without this package reading it.
        return ["/usr/bin/env", f"JAVA_HOME={self.java.home}", maven, *trust]


def _select_last_lines(run: subprocess.CompletedProcess[str]) -> str:
    """Return Maven's last lines, without its advice on itself and the warnings of newer Javas."""
    plain = re.sub(r"\x1b\[[\d;]*m", "", f"{run.stderr}\n{run.stdout}").splitlines()
    dull = re.compile(r"\[ERROR\] *($|To see|Re-run|For more|\[Help)|WARNING: |\s*$")
    return "\n  ".join([line[:600] for line in plain if not dull.match(line)][-8:])
