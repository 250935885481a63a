"""The module that starts the commands: it runs Twinrank's own packages or none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import twinrank
from tests.support.paths import ROOT


def start(module: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m MODULE --version`, with folders in PYTHONPATH before the checkout."""
    search = os.pathsep.join(map(str, [*paths, ROOT]))
    return subprocess.run(
        [sys.executable, "-m", module, "--version"],
        env=os.environ | {"PYTHONPATH": search},
        cwd="/",
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_finds_its_own_packages() -> None:
    assert twinrank.find_stranger() is None
    ended = start("twinrank")
    assert (ended.returncode, ended.stdout.split()[0]) == (0, "twinrank,")


@pytest.mark.parametrize("command", ["twinrank", "twinrank-export"])
def test_the_installed_commands_start_anywhere(command: str) -> None:
    """As `make demo` runs them: nothing but the installation says where the packages are."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program = Path(sys.executable).with_name(command)
    ended = subprocess.run(
        [program, "--version"],
        env=environment, cwd="/", check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("package", twinrank.PACKAGES)
def test_it_runs_no_package_of_the_same_name(package: str, tmp_path: Path) -> None:
    stranger = tmp_path / package
    stranger.mkdir()
    (stranger / "__init__.py").write_text("print('a stranger ran')")
    ended = start("twinrank", tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"expected the package {package} at {ROOT / package}, found {stranger}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_module_of_the_same_name_is_a_stranger_too(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text("print('a stranger ran')")
    ended = start("twinrank", tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"found {tmp_path / 'plugin.py'}" in ended.stderr


def test_a_folder_without_code_takes_no_package_s_place(tmp_path: Path) -> None:
    """Python prefers a package, wherever it comes on the path, to a folder without `__init__.py`."""
    (tmp_path / "opensearch").mkdir()
    assert start("twinrank", tmp_path).returncode == 0


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    alone = tmp_path / "twinrank.py"
    alone.write_bytes((ROOT / "twinrank.py").read_bytes())
    command = [sys.executable, "-I", "-S", str(alone)]  # without the checkout on the path
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert f"expected the package indexer at {tmp_path / 'indexer'}, found none" in ended.stderr


def test_a_package_that_is_installed_beside_it_comes_later(tmp_path: Path) -> None:
    """As opensearch-protobufs does, which opensearch-py brings."""
    installed = tmp_path / "site-packages"
    (installed / "opensearch").mkdir(parents=True)
    (installed / "opensearch" / "__init__.py").touch()
    assert start("twinrank", installed).returncode == 0
