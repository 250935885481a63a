"""The house rules that no linter knows: which package imports which, who reads the environment."""

import ast
from pathlib import Path

import pytest

from tests.support.paths import ROOT

MAY_IMPORT = {
    "reranker": set[str](),
    "opensearch": set[str](),
    "indexer": {"reranker", "opensearch"},
    "plugin": {"reranker", "opensearch", "indexer"},
    "model_export": {"reranker"},
}
"""Each package, and which of the others it may import."""

ONLY_IN = {
    "torch": {"model_export"},
    "transformers": {"model_export"},
    "onnx": {"model_export"},
    "flask": {"plugin"},
    "gunicorn": {"plugin"},
    "luqum": {"opensearch"},
}
"""Each library that has one home."""

MAY_READ_THE_PROCESS = ("plugin/", "model_export/__init__.py", "model_export/__main__.py")
PROCESS_NAMES = {"os.environ", "os.environb", "os.getenv", "os.getenvb", "sys.argv"}

PACKAGE_FILES = sorted(file for package in MAY_IMPORT for file in (ROOT / package).rglob("*.py"))

each_package_file = pytest.mark.parametrize(
    "file", PACKAGE_FILES, ids=lambda file: str(file.relative_to(ROOT))
)


def imported(source: str) -> set[str]:
    """Return the top-level names that `source` imports anywhere, in functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def wrong_imports(package: str, source: str) -> set[str]:
    """Return what `source`, a module of `package`, imports against the arrows."""
    ours = set(MAY_IMPORT) - MAY_IMPORT[package] - {package}
    libraries = {name for name, homes in ONLY_IN.items() if package not in homes}
    return imported(source) & (ours | libraries | {"tests"})


def process_reads(source: str) -> set[str]:
    """Return where `source` reads the environment or the command line, as `module.name`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found & PROCESS_NAMES


@each_package_file
def test_imports_go_one_way(file: Path) -> None:
    assert wrong_imports(file.relative_to(ROOT).parts[0], file.read_text()) == set()


@each_package_file
def test_only_the_edge_reads_environment_and_arguments(file: Path) -> None:
    if not str(file.relative_to(ROOT)).startswith(MAY_READ_THE_PROCESS):
        assert process_reads(file.read_text()) == set()


def test_every_package_is_looked_at() -> None:
    assert {file.relative_to(ROOT).parts[0] for file in PACKAGE_FILES} == set(MAY_IMPORT)
    folders = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert folders == {*MAY_IMPORT, "tests"}


@pytest.mark.parametrize(
    ("package", "source", "wrong"),
    [
        ("reranker", "import opensearch.search", {"opensearch"}),
        ("opensearch", "def late() -> None:\n    from reranker.bundle import Bundle", {"reranker"}),
        ("indexer", "from plugin import app", {"plugin"}),
        ("model_export", "import opensearch, torch", {"opensearch"}),
        ("plugin", "import torch.nn", {"torch"}),
        ("indexer", "from flask import request", {"flask"}),
        ("plugin", "import flask, reranker, opensearchpy", set()),
    ],
)
def test_the_arrows_can_be_broken(package: str, source: str, wrong: set[str]) -> None:
    assert wrong_imports(package, source) == wrong


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("import os\nhome = os.environ['HOME']", {"os.environ"}),
        ("from os import getenv", {"os.getenv"}),
        ("import sys\nprint(sys.argv[1:])", {"sys.argv"}),
        ("import os\nos.getpid()", set()),
    ],
)
def test_reading_the_process_is_seen(source: str, reads: set[str]) -> None:
    assert process_reads(source) == reads
