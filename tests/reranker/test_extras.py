"""The message about a missing optional package: a command that works in the user's folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, TINY_BUNDLE

EXPORT = ("bm25s", "ir_measures", "matplotlib", "onnx", "safetensors", "scipy", "torch", "transformers")
EVALUATE = ("ir_measures", "scipy")
COMMANDS = (
    "calibrate", "compare", "copy", "evaluate", "export", "feedback", "fetch", "prefix", "project", "score",
    "share", "sizes", "speed", "table", "teacher", "train",
)  # fmt: skip

EXPORTER = "from model_export.entry import main; main()"
TWINRANK = "from plugin.commands.main import main; main(prog_name='twinrank')"


def without(
    packages: tuple[str, ...], program: str, *arguments: str, folder: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python that has none of these packages, from the sources in `folder`."""
    hidden = f"import sys; sys.modules.update(dict.fromkeys({packages!r})); "
    return subprocess.run(
        [sys.executable, "-c", hidden + program, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages alone, as a wheel leaves them; the metadata are this Python's."""
    folder = tmp_path_factory.mktemp("site-packages")
    for package in ("indexer", "model_export", "opensearch", "plugin", "reranker"):
        leave_out = shutil.ignore_patterns("__pycache__", "bundles")
        shutil.copytree(ROOT / package, folder / package, ignore=leave_out)
    return folder


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), *((name, "--help") for name in COMMANDS)])
def test_the_exporters_help_needs_none_of_its_packages(arguments: tuple[str, ...]) -> None:
    done = without(EXPORT, EXPORTER, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(r"Usage: |twinrank-export, version 0", done.stdout)


def test_a_clone_is_told_to_install_itself_with_the_extra(tmp_path: Path) -> None:
    done = without(EXPORT, EXPORTER, "export", "--base", "b", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    expected = (
        r"Error: twinrank-export export needs the package \w+, found none. Run: cd \S+ && \S+python\S* -m pip"
    )
    assert re.match(expected, done.stderr)
    assert f"cd {ROOT} && " in done.stderr
    assert "--constraint constraints.txt --editable '.[export]'" in done.stderr


def test_an_installed_package_is_told_the_packages_by_name(installed: Path) -> None:
    done = without(EXPORT, EXPORTER, "compare", str(TINY_BUNDLE), "--base", "b", folder=installed)
    assert done.returncode == 1
    assert "twinrank-export compare needs the package" in done.stderr
    assert "-m pip install 'bm25s>=0.2' 'ir-measures>=0.3.7'" in done.stderr
    assert "'torch>=2.6' 'transformers>=4.48'" in done.stderr
    assert "editable" not in done.stderr


@pytest.mark.parametrize(("extra", "package"), [("aws", "botocore"), ("otel", "opentelemetry-sdk")])
def test_each_extra_names_its_own_packages(installed: Path, extra: str, package: str) -> None:
    program = f"from reranker.extras import install_command; print(install_command({extra!r}))"
    command = without((), program, folder=installed).stdout
    assert f" -m pip install '{package}" in command or f" '{package}" in command
    assert "torch" not in command


def test_without_pip_another_pythons_is_named(installed: Path, tmp_path: Path) -> None:
    """`uv tool` and the image make such environments. The command is run, but without a download."""
    program = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "pip" else found(name)
from reranker.extras import pip_install; print(pip_install("botocore>=1.40"))
"""
    command = shlex.split(without((), program, folder=installed).stdout)
    assert command == ["python3", "-m", "pip", "--python", sys.executable, "install", "botocore>=1.40"]
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    command[command.index(sys.executable)] = str(bare / "bin" / "python")
    done = subprocess.run([*command[:-2], "list"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr


def test_evaluate_and_aws_say_the_same(tmp_path: Path) -> None:
    done = without(EVALUATE, TWINRANK, "evaluate", str(tmp_path), "--upstream", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert re.search(
        r"twinrank evaluate needs the package \w+, found none. Run: cd .*'\.\[evaluate\]'", done.stderr
    )
    program = "from plugin.upstream.aws_signing import make_sign; make_sign('eu-west-1', 'es')"
    done = without(("botocore", "botocore.session"), program)
    assert re.search(r"--aws-region needs the package botocore.*'\.\[aws\]'", done.stderr)


def test_nothing_tells_to_install_what_no_index_has() -> None:
    advice = re.compile(r"pip install [^\n]*twinrank\[")
    files = [
        *(file for package in ("indexer", "model_export", "opensearch", "plugin", "reranker", "docs")
          for file in (ROOT / package).rglob("*") if file.suffix in (".py", ".md")),
        ROOT / "README.md",
        ROOT / "SECURITY.md",
    ]  # fmt: skip
    assert [file.name for file in files if advice.search(file.read_text())] == []
