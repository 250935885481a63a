"""The files of a folder that others wrote: found inside it, and of a size that is read."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from model_export.errors import ExportError

_Kind = TypeVar("_Kind")

MAX_JSON_BYTES = 16_000_000
"""The largest file of settings that is read."""

MAX_TOKENIZER_BYTES = 128_000_000
"""The largest `tokenizer.json`; one of 250,000 pieces has 17 MB."""

_POINTER = b"version https://git-lfs.github.com/spec/"


class ModelFiles:
    """The files of one folder. A name or a link that leads out of it is refused.

    The cache of Hugging Face's client keeps a model as links from `snapshots/REVISION` to `blobs`, beside it.
    Those are followed.

    Raises:
        ExportError: it is no folder, or has a link that leads out of it.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ExportError(
                f"expected a model's folder, found none at {root}: download the model first, nothing is"
                " fetched here"
            )
        if (root / "snapshots").is_dir() and (root / "blobs").is_dir():
            raise ExportError(
                f"expected a model's folder, found a cache of several at {root}: name a folder in"
                f" {root / 'snapshots'}"
            )
        self.root = root
        real = root.resolve()
        self._allowed = [real]
        if real.parent.name == "snapshots":
            self._allowed.append(real.parent.parent / "blobs")
        for entry in root.rglob("*"):
            if entry.is_symlink():
                self.find(str(entry.relative_to(root)))

    def find(self, name: str) -> Path | None:
        """Return a file or folder inside the folder; None if it does not exist.

        Raises:
            ExportError: the name or a link leads elsewhere.
        """
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "~")) or ".." in parts or ":" in name or "\0" in name:
            raise ExportError(f"expected names of files inside {self.root}, found {name!r}")
        file = self.root / name
        if not (file.exists() or file.is_symlink()):
            return None
        real = Path(os.path.realpath(file))  # unlike Path.resolve, the same for a loop in every Python
        if real.is_symlink():
            raise ExportError(
                f"expected files inside {self.root}, found the link {name}, which leads to itself"
            )
        if not any(real.is_relative_to(folder) for folder in self._allowed):
            raise ExportError(f"expected files inside {self.root}, found the link {name} to {real}")
        return file if real.exists() else None

    def get(self, name: str, why: str) -> Path:
        """Return a file that must be there; `why` ends the message if it is not.

        Raises:
            ExportError: it is missing, not a plain file, a pointer of Git LFS, or elsewhere.
        """
        file = self.find(name)
        if file is None or not file.is_file():
            raise ExportError(f"expected the file {name} in {self.root}, found none: {why}")
        if _is_pointer(file):
            raise ExportError(
                f"expected the file {name} in {self.root}, found a pointer of Git LFS: run `git lfs pull`"
                " there"
            )
        return file

    def read_json(self, name: str, kind: type[_Kind], *, why: str) -> _Kind:
        """Read a JSON file that must be there.

        Raises:
            ExportError: it is missing, too large, nested too deeply, not JSON, or has another type.
        """
        file = self.get(name, why)
        try:
            return msgspec.json.decode(self.read_bytes(name, MAX_JSON_BYTES), type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ExportError(f"expected JSON in {file}, found: {error}") from error

    def read_json_if_any(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """Read a JSON file; None if there is none.

        Raises:
            ExportError: it is too large, nested too deeply, not JSON, or has another type.
        """
        return None if self.find(name) is None else self.read_json(name, kind, why="")

    def read_bytes(self, name: str, most: int, *, why: str = "") -> bytes:
        """Read a file of at most `most` bytes.

        Raises:
            ExportError: it is missing, cannot be read, or is larger.
        """
        file = self.get(name, why)
        try:
            size = file.stat().st_size
            if size > most:
                raise ExportError(f"expected at most {most} bytes in {file}, found {size}")
            return file.read_bytes()
        except OSError as error:
            raise ExportError(f"expected to read {file}, found: {error}") from error


def _is_pointer(file: Path) -> bool:
    """Whether Git has left a file's address in its place, as a clone without Git LFS does."""
    try:
        with file.open("rb") as data:
            return data.read(len(_POINTER)) == _POINTER
    except OSError:
        return False  # what reads the file reports it


def join(folder: str, name: str) -> str:
    """Return the name of a file in a folder of the model's; "" is the model's own folder."""
    return f"{folder.rstrip('/')}/{name}" if folder else name
