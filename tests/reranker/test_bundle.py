"""Opening a bundle: the tiny real one, and every way in which one can be broken."""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reranker import manifest as manifests
from reranker.bundle import Bundle
from reranker.crossing import Cosine, Residual
from reranker.errors import BundleError
from reranker.fusion import METHODS
from reranker.manifest import FILE_NAME
from tests.support.paths import TINY_BUNDLE

TINY = TINY_BUNDLE
MANIFEST = json.loads((TINY / FILE_NAME).read_text(encoding="utf-8"))
FILES = sorted(MANIFEST["checksums"])


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the tiny bundle, to be broken."""
    return Path(shutil.copytree(TINY, tmp_path / "tiny"))


def refusal(path: Path, load: Callable[[Path], object] = Bundle.open) -> str:
    """Open or load a bundle, and return the error's words, which always say what to do."""
    with pytest.raises(BundleError) as caught:
        load(path)
    message = str(caught.value)
    assert "expected " in message
    assert "found" in message
    remedies = (
        "python -m model_export export",
        "restore the folder from the release",
        "Restore that version",
    )
    assert any(remedy in message for remedy in remedies)
    return message


def with_manifest(bundle: Path, **changes: Any) -> Path:  # noqa: ANN401  # any JSON value
    """Write the manifest with other values, and a digest that fits them."""
    manifest = MANIFEST | changes
    if "digest" not in changes:
        manifest["digest"] = manifests.digest(manifest)
    (bundle / FILE_NAME).write_text(json.dumps(manifest), encoding="utf-8")
    return bundle


def with_file(bundle: Path, name: str, content: bytes) -> Path:
    """Write a file of the bundle, with the right checksum and digest."""
    (bundle / name).write_bytes(content)
    return with_manifest(
        bundle, checksums=MANIFEST["checksums"] | {name: hashlib.sha256(content).hexdigest()}
    )


def test_a_whole_bundle_opens() -> None:
    bundle = Bundle.open(TINY)
    assert bundle.name == MANIFEST["name"]
    assert bundle.load_crossing() == Cosine(MANIFEST["crossing"]["scale"], MANIFEST["crossing"]["offset"])
    assert bundle.manifest.fusion.method in METHODS
    vector = bundle.load_query_encoder()("how to wait a bit")
    assert vector.shape == (bundle.manifest.dim,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_model_tag_is_the_document_digests_first_bytes(bundle: Path) -> None:
    other = Bundle.open(with_manifest(bundle, document_digest="01020304" + "0" * 56))
    assert other.model_tag == 0x04030201


def test_what_decides_a_querys_vector_decides_the_query_digest(bundle: Path) -> None:
    digest = Bundle.open(bundle).manifest.query_digest
    for changes in (
        {"query": MANIFEST["query"] | {"prefix": "a "}},
        {"query": MANIFEST["query"] | {"max_tokens": 9}},
        {"query": MANIFEST["query"] | {"file": MANIFEST["document"]["file"]}},
    ):
        assert Bundle.open(with_manifest(bundle, **changes)).manifest.query_digest != digest
    for changes in (
        {"name": "other", "version": "2", "languages": ["en"]},
        {"document": MANIFEST["document"] | {"max_tokens": 9}},
        {"fusion": MANIFEST["fusion"] | {"weight": 2.0}},
    ):
        assert Bundle.open(with_manifest(bundle, **changes)).manifest.query_digest == digest
    original = (bundle / MANIFEST["canonical"]).read_bytes()
    canonical = original + b"\n"
    assert Bundle.open(with_file(bundle, MANIFEST["canonical"], canonical)).manifest.query_digest == digest
    (bundle / MANIFEST["canonical"]).write_bytes(original)
    tokenizer = (bundle / MANIFEST["tokenizer"]).read_bytes() + b"\n"
    assert Bundle.open(with_file(bundle, MANIFEST["tokenizer"], tokenizer)).manifest.query_digest != digest


def test_a_version_that_is_asked_for_is_checked(bundle: Path) -> None:
    with_manifest(bundle, version="2")
    opened = Bundle.open(bundle.with_name("tiny@2"))
    assert (opened.path, opened.label) == (bundle, "tiny@2")
    message = refusal(bundle.with_name("tiny@1"))
    assert f"{bundle}: expected version 1, found version 2." in message
    assert "ask for tiny@2" in message
    bundle.rename(bundle.with_name("tiny@1"))
    assert Bundle.open(bundle.with_name("tiny@1")).label == "tiny@2", "a folder's own name pins nothing"


def test_towers_may_share_a_file(bundle: Path) -> None:
    shared = with_manifest(bundle, query=MANIFEST["document"])
    assert Bundle.open(shared).load_query_encoder()("wait").shape == (MANIFEST["dim"],)


def test_a_folder_that_is_absent(tmp_path: Path) -> None:
    message = refusal(tmp_path / "gone")
    assert str(tmp_path / "gone" / FILE_NAME) in message
    assert "No such file or directory" in message


def test_a_path_to_a_file(bundle: Path) -> None:
    assert "Not a directory" in refusal(bundle / FILE_NAME)


def test_a_manifest_that_is_absent(bundle: Path) -> None:
    (bundle / FILE_NAME).unlink()
    assert FILE_NAME in refusal(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"not JSON", b"{", b"[]", b"null", b'{"name": "\xff"}', b"\xff\xfe"]
)
def test_a_manifest_that_is_no_json_object(bundle: Path, content: bytes) -> None:
    (bundle / FILE_NAME).write_bytes(content)
    assert f"{bundle}: expected a bundle manifest of format 1, found: " in refusal(bundle)


@pytest.mark.parametrize("key", sorted(MANIFEST))
def test_a_manifest_without_one_of_its_keys(bundle: Path, key: str) -> None:
    rest = {name: value for name, value in MANIFEST.items() if name != key}
    (bundle / FILE_NAME).write_text(json.dumps(rest), encoding="utf-8")
    assert f"missing required field `{key}`" in refusal(bundle)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"colour": "blue"}, "unknown field `colour`"),
        ({"query": MANIFEST["query"] | {"layers": 6}}, "unknown field `layers` - at `$.query`"),
        ({"format": 2}, "at `$.format`"),
        ({"format": "1"}, "at `$.format`"),
        ({"name": 7}, "at `$.name`"),
        ({"name": "two\nlines"}, "at `$.name`"),
        ({"version": 1}, "at `$.version`"),
        ({"version": "1; x"}, "at `$.version`"),
        ({"version": ""}, "at `$.version`"),
        ({"dim": 0}, "at `$.dim`"),
        ({"dim": 65536}, "at `$.dim`"),
        ({"dim": 16.5}, "at `$.dim`"),
        ({"digest": "abc"}, "at `$.digest`"),
        ({"document_digest": "G" * 64}, "at `$.document_digest`"),
        ({"query": None}, "at `$.query`"),
        ({"document": MANIFEST["document"] | {"max_tokens": 0}}, "at `$.document.max_tokens`"),
        ({"crossing": MANIFEST["crossing"] | {"type": "magic"}}, "at `$.crossing.type`"),
        ({"crossing": MANIFEST["crossing"] | {"scale": "10"}}, "at `$.crossing.scale`"),
        ({"fusion": {"method": "magic", "weight": 1}}, "at `$.fusion.method`"),
        ({"fusion": {"method": "log_linear", "weight": 41}}, "at `$.fusion.weight`"),
        ({"fusion": {"method": "log_linear", "weight": -1}}, "at `$.fusion.weight`"),
        ({"neutral_crossing": None}, "at `$.neutral_crossing`"),
        ({"trained_on": "all"}, "at `$.trained_on`"),
        ({"checksums": []}, "at `$.checksums`"),
        ({"checksums": MANIFEST["checksums"] | {FILES[0]: "abc"}}, "at `$.checksums[...]`"),
    ],
)
def test_a_manifest_with_a_wrong_key_or_value(bundle: Path, changes: dict[str, Any], found: str) -> None:
    assert found in refusal(with_manifest(bundle, **changes))


def test_a_digest_that_does_not_fit_the_values(bundle: Path) -> None:
    found = manifests.digest(MANIFEST)
    message = refusal(with_manifest(bundle, digest="0" * 64))
    assert f"expected the digest {'0' * 64}, found values that give {found}" in message


def test_no_single_changed_bit_of_the_manifest_changes_what_the_bundle_is(bundle: Path) -> None:
    """Each is refused, or is in white space or a name's escape and changes no value."""
    whole = (bundle / FILE_NAME).read_bytes()
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        (bundle / FILE_NAME).write_bytes(changed)
        with contextlib.suppress(BundleError):
            assert Bundle.open(bundle).manifest == Bundle.open(TINY).manifest


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    message = refusal(bundle)
    assert str(bundle / name) in message
    assert "No such file or directory" in message


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_a_flipped_bit(bundle: Path, name: str, place: float) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    (bundle / name).write_bytes(content)
    message = refusal(bundle)
    assert f"{bundle / name}: expected SHA-256 {MANIFEST['checksums'][name]}, found " in message
    assert "changed or damaged" in message


@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_short(bundle: Path, name: str) -> None:
    (bundle / name).write_bytes((bundle / name).read_bytes()[:-1])
    assert "changed or damaged" in refusal(bundle)


def test_a_flipped_bit_in_the_manifest_is_never_another_kind_of_error(bundle: Path) -> None:
    """Its names and numbers have no checksum, so about one flip in twenty passes; the files have."""
    content = (bundle / FILE_NAME).read_bytes()
    refused = 0
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        (bundle / FILE_NAME).write_bytes(flipped)
        try:
            Bundle.open(bundle)
        except BundleError:
            refused += 1
    assert refused > len(content) // 2


ESCAPES = ["../secret", "/etc/hostname", "..", ".", "", "a/b", "a\\b", "a\0b", ".hidden", "new\nline"]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_checksum_never_leads_out_of_the_folder(bundle: Path, name: str) -> None:
    message = refusal(with_manifest(bundle, checksums=MANIFEST["checksums"] | {name: "0" * 64}))
    assert "in `$.checksums`" in message


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("key", ["query", "document", "tokenizer", "canonical"])
def test_a_file_name_never_leads_out_of_the_folder(bundle: Path, key: str, name: str) -> None:
    value = MANIFEST[key] | {"file": name} if isinstance(MANIFEST[key], dict) else name
    assert f"at `$.{key}" in refusal(with_manifest(bundle, **{key: value}))


@pytest.mark.parametrize("key", ["query", "document", "tokenizer", "canonical"])
def test_a_file_without_a_checksum_is_not_read(bundle: Path, key: str) -> None:
    value = MANIFEST[key] | {"file": "other"} if isinstance(MANIFEST[key], dict) else "other"
    (bundle / "other").write_bytes(b"")
    assert "expected a checksum of other in the manifest, found none" in refusal(
        with_manifest(bundle, **{key: value})
    )


def encoders(path: Path) -> object:
    bundle = Bundle.open(path)
    return bundle.load_query_encoder(), bundle.load_document_encoder(threads=1)


def test_a_tokeniser_of_garbage_with_the_right_checksum(bundle: Path) -> None:
    broken = with_file(bundle, MANIFEST["tokenizer"], b'{"garbage": true}')
    assert "expected a tokeniser in " in refusal(broken, encoders)


@pytest.mark.parametrize("tower", ["query", "document"])
def test_a_model_of_garbage_with_the_right_checksum(bundle: Path, tower: str) -> None:
    broken = with_file(bundle, MANIFEST[tower]["file"], b"garbage")
    assert "expected an ONNX model in " in refusal(broken, encoders)


def test_weights_cut_short_with_the_right_checksum(bundle: Path) -> None:
    """The graphs read their weights from a file of their own."""
    broken = with_file(bundle, "weights.bin", (bundle / "weights.bin").read_bytes()[:100])
    assert "expected an ONNX model in " in refusal(broken, encoders)


def test_a_model_of_another_dimension(bundle: Path) -> None:
    broken = with_manifest(bundle, dim=MANIFEST["dim"] + 1)
    assert f"expected dim {MANIFEST['dim'] + 1}, found {MANIFEST['dim']}" in refusal(broken, encoders)


def test_a_limit_without_room_for_text(bundle: Path) -> None:
    broken = with_manifest(bundle, query=MANIFEST["query"] | {"max_tokens": 1})
    assert "expected 1 to 0 special tokens" in refusal(broken, encoders)


def test_a_residual_crossing_is_read_with_the_bundle(bundle: Path) -> None:
    shapes = ((4, 32), (4,), (32, 4), (32,), (2, 32), (2,))
    Residual(*(np.ones(shape, np.float32) for shape in shapes)).write(bundle / "crossing.npz")
    checksum = {"crossing.npz": hashlib.sha256((bundle / "crossing.npz").read_bytes()).hexdigest()}
    crossing = {"type": "residual", "file": "crossing.npz", "hidden": 4}
    with_manifest(bundle, crossing=crossing, checksums=MANIFEST["checksums"] | checksum)
    layer = Bundle.open(bundle).load_crossing()
    assert layer(np.ones(32, np.float32), np.ones((3, 32), np.float32)).tolist() == [0.0, 0.0, 0.0]
    with_manifest(bundle, crossing=crossing | {"hidden": 5}, checksums=MANIFEST["checksums"] | checksum)
    assert "(5, 32)" in refusal(bundle, lambda path: Bundle.open(path).load_crossing())
    with_manifest(bundle, crossing=crossing)
    assert "expected a checksum of crossing.npz" in refusal(bundle)


def test_a_graph_for_another_input_is_refused(bundle: Path) -> None:
    with_manifest(bundle, input="tri_letters")
    words = "expected a graph for tri_letters, found one for word pieces"
    assert words in refusal(bundle, lambda path: Bundle.open(path).load_query_encoder())
