"""Write a manifest's file. Nothing here needs torch, so that a bundle can be copied without it."""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from reranker import manifest as manifests


def write_values(folder: Path, values: dict[str, Any]) -> None:
    """Write a manifest's values, with their digest, into `folder`."""
    values["digest"] = manifests.digest(values)
    data = msgspec.json.format(msgspec.json.encode(values), indent=2)
    (folder / manifests.FILE_NAME).write_bytes(data + b"\n")


def hash_file(file: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
