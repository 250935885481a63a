"""A bundle that shares files is copied whole where nothing but the proxy is installed."""

import subprocess
import sys
from pathlib import Path

from reranker.bundle import BUNDLES, Bundle
from reranker.canonical import replay
from tests.support.paths import ROOT

LIGHT = BUNDLES / "bge-small-en-v1.5-light"
WITHOUT_EXTRAS = """
import sys
sys.modules.update(dict.fromkeys(("onnx", "safetensors", "scipy", "torch", "transformers")))
from model_export.entry import main
main()
"""


def test_the_shipped_light_bundle_is_copied_without_the_export_extra(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-c",
        WITHOUT_EXTRAS,
        "copy",
        f"{LIGHT.name}@1",
        "--out",
        str(tmp_path / "light"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'light'}: 56.8 MB of its own\n"
    original, copy = Bundle.open(LIGHT).manifest, Bundle.open(tmp_path / "light")
    assert (copy.manifest.digest, copy.manifest.query_digest) == (original.digest, original.query_digest)
    assert set(copy.files.values()) == {copy.path / name for name in original.checksums}
    assert replay(copy).within
