"""What a newcomer types first: make, its errors, and the pinned versions."""

import os
import re
import subprocess
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest

from tests.support.paths import ROOT


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Makefile in `folder`, where it may do as it likes."""
    # Below `make test` a make would take itself for a part of that one, and say so.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "-f", str(ROOT / "Makefile"), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def old_python(folder: Path) -> Path:
    """Write a Python that says no to our version check, as 3.10 would."""
    program = folder / "python3"
    program.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.10.1 && exit 0\nexit 1\n')
    program.chmod(0o755)
    return program


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_help_names_every_task(tmp_path: Path) -> None:
    words = {line.split()[0] for line in make(tmp_path).stdout.splitlines()}
    tasks = (
        "setup demo demo-stop test test-all test-native chaos check chart docs bench million fuzz load serve"
    )
    assert words == {"help", *tasks.split(), "arm64", "lint", "clean"}


@pytest.mark.parametrize("task", ["setup", "demo", "test"])
def test_an_old_python_is_refused(project: Path, task: str) -> None:
    run = make(project, f"PYTHON={old_python(project)}", task)
    assert run.returncode != 0
    assert "needs Python 3.11 or newer" in run.stderr
    assert "Python 3.10.1" in run.stderr
    assert not (project / ".venv").exists()


def test_no_python_at_all_is_explained(project: Path) -> None:
    run = make(project, "PYTHON=", "setup")
    assert run.returncode != 0
    assert "none was found on the path" in run.stderr


def test_a_second_setup_does_nothing(project: Path) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/python", ".serving", ".setup"):
        (project / ".venv" / name).touch()
    run = make(project, "--dry-run", "setup")
    assert "Nothing to be done" in run.stdout
    assert "pip" in make(project, "--dry-run", "test").stdout, "torch is still to come"


def test_all_dependencies_are_pinned_within_their_limits() -> None:
    from packaging.requirements import Requirement

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    described = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*described["dependencies"], *chain(*described["optional-dependencies"].values())]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pins[normal(requirement.name)]), requirement
    assert all("+" not in pin for pin in pins.values()), "a local version fits one index only"


@pytest.mark.parametrize("name", ["numpy", "onnxruntime", "opensearch-py", "click"])
def test_the_tests_run_on_the_pinned_versions(name: str) -> None:
    assert f"{name}=={version(name)}\n" in (ROOT / "constraints.txt").read_text()


def test_the_gate_ends_with_the_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert "set -euo pipefail" in script
    assert script.rstrip().splitlines()[-1].endswith("test")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
