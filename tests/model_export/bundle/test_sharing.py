"""Bundles that share files, written by the exporter, and copied whole again."""

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

import onnx
import torch

from model_export.__main__ import main
from model_export.model.base import load_base
from model_export.model.twin import TwinBert
from model_export.train.model_folder import write_model
from reranker.bundle import DEFAULT_BUNDLE, Bundle
from reranker.canonical import replay
from reranker.manifest import FILE_NAME, SharedFile
from reranker.text import Chunking
from tests.bundles.make_tiny import make_tiny
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export

BEYOND = 12
SHORT = "read a line of a file"
LONG = "wait for the sum of a list of the lines of all files that were read in the last seconds of the day"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whole bundles with the documents of `whole`.

    `long` and `small` have query towers of their own; `joined` reads short queries as `small` does, and long
    ones as `long` does.
    """
    folder = tmp_path_factory.mktemp("bundles")
    base = make_tiny(folder / "base", layers=2)
    done("export", "--base", base, "--out", folder / "whole")
    for name, layers in (("long", [0, 1]), ("small", [0])):
        write_query_tower(folder / f"{name}-base", base, name, layers)
        options = ("--documents-of", folder / "whole")
        done("export", "--base", folder / f"{name}-base", "--out", folder / name, *options)
    joined = ("--documents-of", folder / "long", "--whole-beyond", BEYOND, "--name", "joined")
    done("export", "--base", folder / "small-base", "--out", folder / "joined", *joined)
    return folder


def write_query_tower(folder: Path, base: Path, name: str, layers: list[int]) -> None:
    """Write a base with some layers of another one's query tower, as further training leaves them."""
    loaded = load_base(str(base))
    tower = loaded.query.with_layers(layers)
    torch.manual_seed(len(layers))
    with torch.no_grad():
        for weights in tower.bert.encoder.parameters():
            weights.add_(torch.randn_like(weights), alpha=0.01)
    folder.mkdir()
    twin = TwinBert(tower, loaded.document, loaded.crossing)
    write_model(folder, twin, replace(loaded, name=name, query=tower))


@pytest.fixture
def bundles(folder: Path, tmp_path: Path) -> Path:
    """A copy of those, to write into."""
    return Path(shutil.copytree(folder, tmp_path / "bundles"))


def export(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def done(*arguments: object) -> Result:
    ended = export(*arguments)
    assert ended.exit_code == 0, ended.output
    return ended


def refused(*arguments: object) -> str:
    ended = export(*arguments)
    assert ended.exit_code == 1, ended.output
    return str(ended.output)


def check_same(found: Bundle, expected: Bundle) -> None:
    """Check that two bundles give the same vectors, to the last bit, under the same tag."""
    for text in (SHORT, LONG):
        np.testing.assert_array_equal(found.load_query_encoder()(text), expected.load_query_encoder()(text))
    for found_vectors, vectors in zip(
        found.load_document_encoder(threads=1)([LONG], Chunking()),
        expected.load_document_encoder(threads=1)([LONG], Chunking()),
        strict=True,
    ):
        np.testing.assert_array_equal(found_vectors, vectors)
    assert found.manifest.document_digest == expected.manifest.document_digest
    assert replay(found).within


def own_files(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()}


def test_a_document_tower_is_shared_and_the_bundle_stays_the_same(bundles: Path) -> None:
    done("share", bundles / "small", "--with", bundles / "whole", "--out", bundles / "lean")
    found, expected = Bundle.open(bundles / "lean"), Bundle.open(bundles / "small")
    check_same(found, expected)
    assert found.manifest.digest == expected.manifest.digest
    assert own_files(found.path) == {"canonical.json", FILE_NAME, "query_encoder.onnx", "query_weights.bin"}
    assert found.manifest.shared["weights.bin"] == SharedFile("whole", "weights.bin")


def test_two_towers_in_one_graph_are_those_of_two_bundles(bundles: Path) -> None:
    options = ("--with", bundles / "whole", "--with", bundles / "small", "--with", bundles / "long")
    done("share", bundles / "joined", *options, "--out", bundles / "lean")
    found = Bundle.open(bundles / "lean")
    check_same(found, Bundle.open(bundles / "joined"))
    assert own_files(found.path) == {"canonical.json", FILE_NAME, "query_encoder.onnx"}
    assert found.manifest.shared["query_weights.bin"] == SharedFile("small", "query_weights.bin")
    assert found.manifest.shared["long.query_weights.bin"] == SharedFile("long", "query_weights.bin")


def test_what_no_other_bundle_has_stays(bundles: Path) -> None:
    options = ("--with", bundles / "whole", "--with", bundles / "long")
    done("share", bundles / "joined", *options, "--out", bundles / "lean")
    found = Bundle.open(bundles / "lean")
    check_same(found, Bundle.open(bundles / "joined"))
    assert found.manifest.shared["long.query_weights.bin"] == SharedFile("long", "query_weights.bin")
    sizes = [(bundles / name / "query_weights.bin").stat().st_size for name in ("lean", "small", "joined")]
    assert sizes[0] == sizes[1] < sizes[2]


def test_files_are_named_where_they_are(bundles: Path) -> None:
    """A bundle that shares a file itself is not needed to find it."""
    done("share", bundles / "small", "--with", bundles / "whole", "--out", bundles / "lean")
    options = (
        "--with",
        bundles / "lean",
    )
    done("share", bundles / "joined", *options, "--out", bundles / "leaner")
    shared = Bundle.open(bundles / "leaner").manifest.shared
    assert shared["weights.bin"] == SharedFile("whole", "weights.bin")


def test_a_copy_is_whole_and_the_same(bundles: Path, tmp_path: Path) -> None:
    done("share", bundles / "joined", "--with", bundles / "small", "--with", bundles / "long",
         "--out", bundles / "lean")  # fmt: skip
    ended = done("copy", bundles / "lean", "--out", tmp_path / "elsewhere" / "copy")
    assert "MB of its own" in ended.output
    assert "shared" not in ended.output
    lean = Bundle.open(bundles / "lean")
    digest, checksums = lean.manifest.digest, lean.manifest.checksums
    shutil.rmtree(bundles)
    copy = Bundle.open(tmp_path / "elsewhere" / "copy")
    assert (copy.manifest.digest, copy.manifest.checksums) == (digest, checksums)
    assert own_files(copy.path) == {*checksums, FILE_NAME}
    assert replay(copy).within


def test_an_export_shares_at_once(bundles: Path) -> None:
    options = ("--documents-of", bundles / "whole", "--share", bundles / "whole")
    ended = done("export", "--base", bundles / "small-base", "--out", bundles / "lean", *options)
    found = Bundle.open(bundles / "lean")
    check_same(found, Bundle.open(bundles / "small"))
    own = sum(file.stat().st_size for file in found.path.iterdir())
    assert f"{own} of them in the folder" in ended.output


def test_a_whole_tower_may_come_from_a_bundle_that_shares_it(bundles: Path) -> None:
    done("share", bundles / "small", "--with", bundles / "whole", "--out", bundles / "lean")
    options = ("--documents-of", bundles / "lean", "--whole-beyond", BEYOND, "--name", "joined")
    done("export", "--base", bundles / "small-base", "--out", bundles / "again", *options)
    found = Bundle.open(bundles / "again")
    np.testing.assert_array_equal(
        found.load_query_encoder()(LONG), Bundle.open(bundles / "small").load_query_encoder()(LONG)
    )


def test_a_bundle_that_is_neither_beside_nor_shipped_is_refused(bundles: Path, tmp_path: Path) -> None:
    out = tmp_path / "away" / "lean"
    message = refused("share", bundles / "small", "--with", bundles / "whole", "--out", out)
    assert "expected the folder of the bundle whole, which holds the file, found none of" in message
    assert "Put that bundle beside this one" in message
    assert list((tmp_path / "away").iterdir()) == []


def test_nothing_to_share_is_refused(bundles: Path) -> None:
    message = refused("share", TINY_BUNDLE, "--with", DEFAULT_BUNDLE.name, "--out", bundles / "lean")
    assert "found none: there is nothing to share" in message
    assert not (bundles / "lean").exists()
    assert not list(bundles.glob(".*"))


def test_an_existing_folder_is_not_touched(bundles: Path) -> None:
    before = own_files(bundles / "small")
    for command in (("copy",), ("share", "--with", bundles / "whole")):
        message = refused(*command, bundles / "whole", "--out", bundles / "small")
        assert "expected no folder" in message
    assert own_files(bundles / "small") == before


@pytest.mark.parametrize("command", ["copy", "share"])
def test_a_full_disk_leaves_nothing(bundles: Path, command: str) -> None:
    """The limit on a file's size is the operating system's own: writing fails as on a full disk."""
    options = ["--with", str(bundles / "whole")] if command == "share" else []
    size = (bundles / "small" / "weights.bin").stat().st_size
    ended = subprocess.run(
        [sys.executable, "-m", "model_export", command, str(bundles / "small"), *options,
         "--out", str(bundles / "lean")],
        capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2)),
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert f"expected to write the bundle {bundles / 'lean'}, found:" in ended.stderr
    assert "File too large" in ended.stderr
    assert not (bundles / "lean").exists()
    assert not list(bundles.glob(".*"))


def test_a_shared_graph_is_an_ordinary_onnx_graph(bundles: Path, tmp_path: Path) -> None:
    """In a whole copy, other programs read it with its weights."""
    done("share", bundles / "joined", "--with", bundles / "small", "--with", bundles / "long",
         "--out", bundles / "lean")  # fmt: skip
    done("copy", bundles / "lean", "--out", tmp_path / "copy")
    tensors = onnx.load(tmp_path / "copy" / "query_encoder.onnx").graph.initializer
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in tensors)
