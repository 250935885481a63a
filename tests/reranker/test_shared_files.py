"""Bundles that share files: where they are found, and every way in which one cannot be used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker import bundle as bundles
from reranker import manifest as manifests
from reranker.bundle import Bundle
from reranker.canonical import replay
from reranker.errors import BundleError
from reranker.manifest import FILE_NAME, SharedFile
from reranker.text import Chunking
from tests.support.paths import TINY_BUNDLE

MANIFEST = json.loads((TINY_BUNDLE / FILE_NAME).read_text(encoding="utf-8"))
WEIGHTS = "weights.bin"
SHARED = ("document_encoder.onnx", "tokenizer.json", WEIGHTS)


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the bundles that come with Twinrank: empty, until a test puts one there."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    monkeypatch.setattr(bundles, "BUNDLES", folder)
    return folder


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A bundle with all its files in its own folder."""
    return Path(shutil.copytree(TINY_BUNDLE, tmp_path / "bundles" / "tiny"))


@pytest.fixture
def sharing(whole: Path) -> Path:
    """A bundle beside it that has its query graph and canonical texts, and nothing else."""
    folder = Path(shutil.copytree(whole, whole.with_name("small")))
    return share(folder, {name: ("tiny", name) for name in SHARED})


def share(folder: Path, files: dict[str, tuple[str, str]], **changes: Any) -> Path:  # noqa: ANN401  # any JSON value
    """Remove files of a bundle, whose manifest then names those of other bundles."""
    for name in files:
        (folder / name).unlink(missing_ok=True)
    shared = {name: {"bundle": bundle, "file": file} for name, (bundle, file) in files.items()}
    values = MANIFEST | {"name": folder.name, "shared": shared} | changes
    values["digest"] = manifests.digest(values)
    (folder / FILE_NAME).write_text(json.dumps(values), encoding="utf-8")
    return folder


def refusal(path: Path, load: Callable[[Path], object] = Bundle.open) -> str:
    """Open a bundle, and return the error's words, which always say what to do."""
    with pytest.raises(BundleError) as caught:
        load(path)
    message = str(caught.value)
    assert "expected " in message
    assert "found" in message
    assert any(words in message for words in ("Restore", "Put ", "export it again", "twinrank-export copy"))
    return message


def test_a_shared_file_is_that_of_the_bundle_beside(sharing: Path, whole: Path) -> None:
    bundle, owner = Bundle.open(sharing), Bundle.open(whole)
    assert {name for name, file in bundle.files.items() if file.parent == whole} == set(SHARED)
    assert bundle.manifest.shared[WEIGHTS] == SharedFile("tiny", WEIGHTS)
    assert bundle.model_tag == owner.model_tag
    text = "how to read a file"
    np.testing.assert_array_equal(bundle.load_query_encoder()(text), owner.load_query_encoder()(text))
    found, expected = (each.load_document_encoder(threads=1)([text], Chunking()) for each in (bundle, owner))
    np.testing.assert_array_equal(found, expected)
    assert replay(bundle).within


def test_a_bundle_is_the_same_wherever_its_files_lie(sharing: Path, tmp_path: Path) -> None:
    """Only the files' places differ from a whole copy, so digest and checksums do not."""
    copy = Path(shutil.copytree(TINY_BUNDLE, tmp_path / "copies" / "small"))
    stands_alone, shares = Bundle.open(share(copy, {})).manifest, Bundle.open(sharing).manifest
    assert stands_alone.digest == shares.digest
    assert stands_alone.checksums == shares.checksums
    assert stands_alone.shared == {}


def test_a_file_is_looked_for_beside_the_bundle_first_then_among_the_shipped(
    sharing: Path, whole: Path, shipped: Path
) -> None:
    shutil.copytree(whole, shipped / "tiny")
    assert Bundle.open(sharing).files[WEIGHTS] == whole / WEIGHTS
    shutil.rmtree(whole)
    bundle = Bundle.open(sharing)
    assert bundle.files[WEIGHTS] == shipped / "tiny" / WEIGHTS
    assert replay(bundle).within


def test_a_bundle_may_be_named_by_a_relative_path_or_a_link(
    sharing: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "current").symlink_to(sharing)
    assert replay(Bundle.open(tmp_path / "current")).within
    monkeypatch.chdir(sharing)
    assert replay(Bundle.open(Path())).within
    monkeypatch.chdir(whole)
    assert replay(Bundle.open(Path("../small"))).within


def test_a_file_may_have_another_name_there(sharing: Path, whole: Path) -> None:
    (whole / WEIGHTS).rename(whole / "numbers.bin")
    files = {name: ("tiny", name) for name in SHARED} | {WEIGHTS: ("tiny", "numbers.bin")}
    assert replay(Bundle.open(share(sharing, files))).within


def test_a_bundle_may_share_what_is_shared_itself(sharing: Path) -> None:
    third = Path(shutil.copytree(sharing, sharing.with_name("third")))
    assert replay(Bundle.open(share(third, {name: ("small", name) for name in SHARED}))).within


def test_the_folder_of_the_bundle_may_be_a_link(sharing: Path, whole: Path, tmp_path: Path) -> None:
    whole.rename(tmp_path / "elsewhere")
    whole.symlink_to(tmp_path / "elsewhere")
    assert replay(Bundle.open(sharing)).within


def test_every_file_may_be_a_link_into_one_folder(sharing: Path, whole: Path, tmp_path: Path) -> None:
    """As some installers lay packages out."""
    whole.rename(tmp_path / "store")
    whole.mkdir()
    for file in (tmp_path / "store").iterdir():
        (whole / file.name).symlink_to(file)
    assert replay(Bundle.open(sharing)).within


def test_a_link_out_of_the_folder_is_refused(sharing: Path, whole: Path, tmp_path: Path) -> None:
    (whole / WEIGHTS).rename(tmp_path / WEIGHTS)
    (whole / WEIGHTS).symlink_to(tmp_path / WEIGHTS)
    assert f"expected a file in {whole}, found a link out of it, to {tmp_path / WEIGHTS}" in refusal(sharing)


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_file_that_is_missing(sharing: Path, whole: Path, name: str) -> None:
    (whole / name).unlink()
    expected = f"{sharing}: {name}: expected the file {name} of the bundle tiny, found none in {whole}"
    assert expected in refusal(sharing)


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_file_that_was_changed(sharing: Path, whole: Path, name: str) -> None:
    (whole / name).write_bytes((whole / name).read_bytes() + b" ")
    message = refusal(sharing)
    checksum = MANIFEST["checksums"][name]
    assert f"{whole / name}: expected SHA-256 {checksum} of the file that {sharing} shares, found " in message
    assert "the bundle tiny is another version, or damaged" in message
    assert "twinrank-export copy" in message


def test_a_bundle_that_is_not_there(sharing: Path, whole: Path, shipped: Path) -> None:
    shutil.rmtree(whole)
    message = refusal(sharing)
    assert f"expected the folder of the bundle tiny, which holds the file, found none of {whole}" in message
    assert str(shipped / "tiny") in message
    assert "Put that bundle beside this one" in message


def test_a_folder_of_that_name_that_is_no_bundle(sharing: Path, whole: Path, shipped: Path) -> None:
    shutil.copytree(whole, shipped / "tiny")
    (whole / FILE_NAME).unlink()
    assert Bundle.open(sharing).files[WEIGHTS].parent == shipped / "tiny"


def test_a_bundle_whose_manifest_is_damaged_and_that_lacks_the_file(sharing: Path, whole: Path) -> None:
    (whole / WEIGHTS).unlink()
    (whole / FILE_NAME).write_text("{")
    assert f"{whole}: expected a bundle manifest of format 1" in refusal(sharing)


@pytest.mark.parametrize("other", ["tiny", "small"])
def test_bundles_that_name_each_other(sharing: Path, whole: Path, other: str) -> None:
    """Of one bundle, or of two."""
    share(whole, {WEIGHTS: ("small", WEIGHTS)})
    share(sharing, {WEIGHTS: (other, WEIGHTS)})
    message = refusal(sharing)
    assert "found bundles that name each other: small/weights.bin -> " in message
    assert message.count(f"{other}/{WEIGHTS}") >= 1
    assert "found" in refusal(whole)


OUTSIDE = ["../tiny", "..", "/etc", "", "a/b", "a\\b", "a\0b", ".hidden", "new\nline"]


@pytest.mark.parametrize("value", OUTSIDE)
@pytest.mark.parametrize("key", ["bundle", "file"])
def test_a_name_never_leads_out_of_the_folder(sharing: Path, key: str, value: str) -> None:
    files = {WEIGHTS: (value, WEIGHTS) if key == "bundle" else ("tiny", value)}
    assert f"at `$.shared[...].{key}`" in refusal(share(sharing, files))


@pytest.mark.parametrize("shared", [[], {"weights.bin": "tiny"}, {"weights.bin": {"bundle": "tiny"}}, None])
def test_a_manifest_that_names_shared_files_otherwise(sharing: Path, shared: object) -> None:
    assert "at `$.shared" in refusal(share(sharing, {}, shared=shared))


def test_a_shared_file_without_a_checksum(sharing: Path) -> None:
    refused = refusal(share(sharing, {"other.bin": ("tiny", WEIGHTS)}))
    assert "expected a checksum of other.bin in the manifest, found none" in refused


@pytest.mark.parametrize("content", [b"garbage", b"", b"\x3a\xff\xff\xff\xff\x0f", b"\x3a\x02\x2a\x05"])
def test_a_graph_of_garbage_with_the_right_checksum(sharing: Path, content: bytes) -> None:
    (sharing / "query_encoder.onnx").write_bytes(content)
    checksum = bundles._hash_file(sharing / "query_encoder.onnx")
    files = {name: ("tiny", name) for name in SHARED}
    share(sharing, files, checksums=MANIFEST["checksums"] | {"query_encoder.onnx": checksum})
    assert "expected an ONNX model in " in refusal(
        sharing, lambda path: Bundle.open(path).load_query_encoder()
    )


def test_a_graph_with_weights_that_the_manifest_does_not_name(sharing: Path) -> None:
    """No file is read unchecked."""
    rest = {name: value for name, value in MANIFEST["checksums"].items() if name != WEIGHTS}
    share(sharing, {name: ("tiny", name) for name in SHARED if name != WEIGHTS}, checksums=rest)
    refused = refusal(sharing, lambda path: Bundle.open(path).load_query_encoder())
    assert "found: weights in 'weights.bin', which the manifest does not name" in refused
