"""ONNX Runtime reports nothing to its makers, whichever part of Twinrank loads it."""

import os
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from reranker.onnx_telemetry import DISABLE_TELEMETRY, disable_onnx_telemetry
from tests.support.paths import ROOT, TINY_BUNDLE

SILENT_ALREADY = ("CI", DISABLE_TELEMETRY, "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS")
"""With one of these, ONNX Runtime reports nothing by itself."""

has_telemetry = pytest.mark.skipif(
    sys.platform != "linux" or tuple(map(int, onnxruntime.__version__.split(".")[:2])) < (1, 29),
    reason="this ONNX Runtime has no telemetry",
)


def written_by(home: Path, *command: str) -> list[str]:
    """Run Python in a home of its own; return the files that it left there."""
    environment = {name: value for name, value in os.environ.items() if name not in SILENT_ALREADY}
    subprocess.run(
        [sys.executable, *command],
        cwd=ROOT, env=environment | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")},
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return [str(file.relative_to(home)) for file in home.rglob("*") if file.is_file()]


@has_telemetry
def test_onnxruntime_alone_writes_down_who_uses_it(tmp_path: Path) -> None:
    """Else the tests below would show nothing."""
    assert any("deviceid" in name for name in written_by(tmp_path, "-c", "import onnxruntime"))


@has_telemetry
@pytest.mark.parametrize("command", [
    ["-m", "plugin", "check", "--bundle", str(TINY_BUNDLE)],
    ["-c", "import model_export, onnxruntime"],
    ["-c", "import plugin.commands.ray_backfill, onnxruntime"],
])  # fmt: skip
def test_twinrank_lets_it_write_nothing(tmp_path: Path, command: list[str]) -> None:
    assert written_by(tmp_path, *command) == []


def test_a_value_that_is_there_stays() -> None:
    environment = {DISABLE_TELEMETRY: "0"}
    disable_onnx_telemetry(environment)
    assert environment == {DISABLE_TELEMETRY: "0"}
