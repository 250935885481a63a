"""The wheel: everything that runs is in it, and nothing else."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.wheel import LABELS, PACKAGES, build_wheel, copy_sources


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel")))


MAX_BYTES = 70_000_000
"""Bundles share their files, so three of them take little more than one (with all its files each, 122 MB)."""


def files_of(package: str) -> set[str]:
    """Return every file of a package's folder but the labels, as a path from the checkout."""
    files = (file for file in (ROOT / package).rglob("*") if file.is_file())
    names = {str(file.relative_to(ROOT)) for file in files if file.parent.name != "__pycache__"}
    return {name for name in names if not name.startswith(LABELS)}


def test_it_holds_every_file_of_every_package(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {"twinrank.py"}.union(*map(files_of, PACKAGES))


def test_it_is_small(wheel: zipfile.ZipFile) -> None:
    assert wheel.filename is not None
    assert Path(wheel.filename).stat().st_size <= MAX_BYTES


def test_no_file_of_a_bundle_is_in_it_twice(wheel: zipfile.ZipFile) -> None:
    sums = [info.CRC for info in wheel.infolist() if "/bundles/" in info.filename]
    assert len(sums) == len(set(sums))


def test_labels_are_in_no_wheel_and_no_image(wheel: zipfile.ZipFile) -> None:
    """Labels are for training, from a checkout: megabytes that nobody needs who serves."""
    assert not [name for name in wheel.namelist() if name.startswith(LABELS)]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored.index(LABELS) > ignored.index("!model_export"), "the last line that fits decides"


def test_labels_are_in_no_source_distribution(tmp_path: Path) -> None:
    copy_sources(tmp_path / "source")
    assert (tmp_path / "source" / LABELS / "any.bin").exists()
    program = "from setuptools.build_meta import build_sdist; build_sdist('built')"
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path / "source", check=True, timeout=300, capture_output=True
    )
    with tarfile.open(next((tmp_path / "source" / "built").glob("*.tar.gz"))) as built:
        names = built.getnames()
    assert [name for name in names if name.endswith("model_export/labelling/label_file.py")]
    assert not [name for name in names if LABELS in name]


def test_it_has_the_commands_and_the_licences(wheel: zipfile.ZipFile) -> None:
    info = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")).rpartition("/")[0]
    points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "twinrank = twinrank:main" in points
    assert "twinrank-export = twinrank:export" in points
    assert {Path(name).name for name in wheel.namelist() if "/licenses/" in name} == {"LICENSE", "NOTICE"}
