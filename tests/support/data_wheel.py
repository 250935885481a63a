"""A wheel that holds one file."""

import base64
import hashlib
import zipfile
from pathlib import Path

from model_export.packages.wheel import PackageFile


def write_wheel(folder: Path, like: PackageFile, data: bytes, listed: bytes | None = None) -> PackageFile:
    """Write a wheel with one file, and return what is expected of it; RECORD has the digest of `listed`."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data if listed is None else listed).digest()).decode()
    name = like.wheel_pattern.replace("*", "py3-none-any")
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(like.path, data)
        wheel.writestr(like.record, f"{like.path},sha256={digest.rstrip('=')},{len(data)}\n{like.record},,\n")
    return PackageFile(like.package, like.version, like.path, len(data), hashlib.sha256(data).hexdigest())
