"""Every bundle on the oldest ONNX Runtime that pyproject.toml allows, and on the installed one."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reranker.bundle_names import find_bundle, list_shipped
from tests.support.paths import ROOT

MIN_QUERY_COSINE, MIN_DOCUMENT_COSINE = 0.9985, 0.996
"""To the original model in float32: over platforms and versions."""

MAX_CHANGE = 0.001
"""How much more, or less, one version's scores may differ from the original's than another's: a probability
of at most 1."""

REPLAY = """
import json, sys
from dataclasses import asdict
from pathlib import Path
import onnxruntime
from reranker.bundle import Bundle
from reranker.canonical import replay
print(json.dumps({"version": onnxruntime.__version__} | asdict(replay(Bundle.open(Path(sys.argv[1]))))))
"""


def replayed(bundle: Path, *first: Path) -> dict[str, float | str]:
    """Replay a bundle in a process of its own, with folders before the installed packages."""
    search = os.pathsep.join(map(str, [*first, ROOT]))
    ended = subprocess.run(
        [sys.executable, "-c", REPLAY, str(bundle)],
        env=os.environ | {"PYTHONPATH": search}, check=True, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    found: dict[str, float | str] = json.loads(ended.stdout)
    return found


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return the oldest version that is allowed, and a folder with it."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [version] = [found[1] for each in wanted if (found := re.match(r"onnxruntime>=([\d.]+)", each))]
    folder = tmp_path_factory.mktemp("oldest")
    command = ["pip", "install", "--quiet", "--no-deps", "--target", str(folder), f"onnxruntime=={version}"]
    subprocess.run([sys.executable, "-m", *command], check=True, timeout=600)
    return version, folder


each_bundle = pytest.mark.parametrize("name", list_shipped())


@each_bundle
def test_the_oldest_scores_as_the_installed_one(
    name: str, is_long: bool, request: pytest.FixtureRequest
) -> None:
    """A download of 16 MB, so only with --long."""
    if not is_long:
        pytest.skip("runs with pytest --long, as make test-all does")
    version, folder = request.getfixturevalue("oldest")
    newest, oldest = replayed(find_bundle(name)), replayed(find_bundle(name), folder)
    assert str(oldest["version"]).startswith(version)
    assert newest["version"] != oldest["version"]
    for found in (newest, oldest):
        assert float(found["query_cosine"]) >= MIN_QUERY_COSINE
        assert float(found["document_cosine"]) >= MIN_DOCUMENT_COSINE
    assert abs(float(newest["score_difference"]) - float(oldest["score_difference"])) < MAX_CHANGE
