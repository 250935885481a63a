"""The build backend: setuptools', after `twinrank-export base` has written the bundle into the package.

`pip wheel --config-settings packages=FOLDER` names a folder with the wheels that the bundle is made from.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_wheel",
]

NAME = "multilingual-e5-small"
FOLDER = Path(__file__).parent / "src" / "twinrank_multilingual" / NAME


def build_wheel(
    wheel_directory: str,
    config_settings: Mapping[str, str] | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Make the bundle, and then the wheel; return the wheel's name.

    Raises:
        SystemExit: the bundle could not be made; the command has said why.
    """
    settings = dict(config_settings or {})
    wheels = settings.pop("packages", None)
    command = [sys.executable, "-m", "model_export", "base", NAME, "--out", str(FOLDER)]
    shutil.rmtree(FOLDER, ignore_errors=True)
    done = subprocess.run([*command, *(["--packages", wheels] if wheels else [])], check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.returncode)
    shutil.rmtree(Path(__file__).parent / "build", ignore_errors=True)  # files of an earlier bundle
    return build_meta.build_wheel(wheel_directory, settings or None, metadata_directory)
