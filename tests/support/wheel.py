"""Build the wheel from a copy of the checkout."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

PACKAGES = ("indexer", "model_export", "opensearch", "plugin", "reranker")
LABELS = "model_export/labels"
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "twinrank.py")


def build_wheel(folder: Path) -> Path:
    """Build the wheel, as pip does, into a folder; return its path.

    It is built from a copy: setuptools keeps what it built before, and would put it in again.
    """
    copy, built = folder / "source", folder / "built"
    copy_sources(copy)
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), "."]
    subprocess.run([sys.executable, "-m", *command], cwd=copy, check=True, timeout=300)
    return next(built.glob("*.whl"))


def copy_sources(copy: Path) -> None:
    """Copy what is built from, and put a label file in, whether there are any or not."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=ignore, dirs_exist_ok=True)
    for name in NEEDED:
        shutil.copy(ROOT / name, copy / name)
    (copy / LABELS).mkdir(exist_ok=True)
    (copy / LABELS / "any.bin").write_bytes(b"labels")
