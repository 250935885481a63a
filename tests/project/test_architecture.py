"""The house rules that no linter knows: which package imports which, who reads the environment."""

import ast
import re
from collections import Counter
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

LAYERS = {
    "plugin": (
        "__main__",
        "commands",
        "options",
        "server demo evaluation clicks",
        "proxy",
        "app",
        "lab",
        "admin harness",
        "search writes apis",
        "experiments",
        "passthrough compare ubi",
        "settings telemetry",
        "upstream encoding",
        "http",
        "errors",
    ),
    "indexer": (
        "load sync writes",
        "migration coverage",
        "audit estimate vector_fields vector_comparison",
        "enricher vector_cache language_sample",
        "document",
        "errors",
    ),
    "opensearch": (
        "search writes changes native local",
        "fields",
        "index",
        "settings",
        "query rawjson",
        "client",
        "retry",
        "errors endpoints durations credentials connection_advice",
    ),
    "reranker": (
        "rules combiner_files",
        "signals threshold exact diversity combiner features sibling_bundles",
        "rerank canonical bundle_names bundle_sizes",
        "bundle feedback smoothing",
        "shared_files",
        "manifest window_vectors encoder tri_letters integer_query judgements query_files",
        "language_identifier",
        "languages",
        "feature_table tokens fusion hybrid_scores crossing stored_vector table_files external_data",
        "beir_files",
        "arrays text errors blas_threads extras onnx_telemetry printable",
    ),
    "model_export": (
        "entry",
        "__main__",
        "commands",
        "evaluation",
        "train bundle",
        "packages",
        "folders",
        "labelling onnx",
        "model data datasets",
        "errors",
    ),
}
"""The folders of a package, and the modules beside them, from top to bottom: each imports only from the lines
below its own."""


ONLY_IN = {
    "torch": {"model_export"},
    "transformers": {"model_export"},
    "onnx": {"model_export"},
    "flask": {"plugin"},
    "gunicorn": {"plugin"},
    "httptools": {"plugin"},
    "luqum": {"opensearch"},
    "ray": {"plugin"},
    "lightgbm": {"plugin"},
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


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(file) for file in PACKAGE_FILES}


def imported_modules(source: str) -> set[str]:
    """Return the modules of ours that `source` imports anywhere, in full."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return found


def layer(module: str) -> int:
    """Return the line of a module's folder in LAYERS, 0 for the top; that of a package itself is the last.

    Raises:
        AssertionError: its folder is in no line, or in several.
    """
    package, _, inside = module.partition(".")
    lines = LAYERS[package]
    if not inside:
        return len(lines)
    found = [number for number, line in enumerate(lines) if inside.partition(".")[0] in line.split()]
    assert len(found) == 1, f"{module}: its folder is to be in one line of LAYERS[{package!r}], not {found}"
    return found[0]


def upward_imports(module: str, source: str) -> set[tuple[str, str]]:
    """Return the imports of a module that lead to another folder of its package, not below its own."""
    package, folder = [*module.split("."), ""][:2]
    others = {name for name in imported_modules(source) if name.split(".")[0] == package}
    across = {name for name in others if [*name.split("."), ""][1] != folder}
    return {(module, name) for name in across if layer(name) <= layer(module)}


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


def test_folders_import_only_what_is_below_them() -> None:
    files = (file for file in PACKAGE_FILES if file.relative_to(ROOT).parts[0] in LAYERS)
    found = [upward_imports(module_name(file), file.read_text()) for file in files]
    assert set().union(*found) == set()


@pytest.mark.parametrize(
    ("module", "source", "upward"),
    [
        ("plugin.http.messages", "from plugin.upstream.client import Upstream", {"plugin.upstream.client"}),
        ("plugin.search.handler", "from plugin.writes import batch", {"plugin.writes.batch"}),
        (
            "opensearch.rawjson.style",
            "def late():\n    from opensearch.index import metadata",
            {"opensearch.index.metadata"},
        ),
        ("opensearch.errors", "from opensearch.client import OpenSearchClient", {"opensearch.client"}),
        ("plugin.search.handler", "from plugin.search import page\nfrom plugin.http import messages", set()),
    ],
)
def test_an_upward_import_is_seen(module: str, source: str, upward: set[str]) -> None:
    assert upward_imports(module, source) == {(module, name) for name in upward}


def test_a_class_name_means_one_thing() -> None:
    sources = (file.read_text() for file in PACKAGE_FILES)
    names = Counter(
        name for source in sources for name in re.findall(r"^class ([A-Z]\w*)", source, re.MULTILINE)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_no_test_imports_another() -> None:
    for file in (ROOT / "tests").rglob("*.py"):
        names = re.findall(r"^\s*from (tests\.\S+) import", file.read_text(), re.MULTILINE)
        assert not [name for name in names if re.search(r"\.test_", name)], file


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
