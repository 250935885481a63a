"""The label file: it gives back what was written, refuses what is not whole, and is replaced at once."""

import errno
import os
import struct
from pathlib import Path

import msgspec
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.errors import TrainingError
from model_export.labelling.label_file import (
    MAGIC,
    MAX_BYTES,
    ExcludedQueries,
    LabelHeader,
    LabelledSource,
    Labels,
    check_labels,
    hash_candidate,
    hash_query,
    make_labels,
    read_labels,
    write_labels,
)

pytestmark = pytest.mark.export

HEADER = LabelHeader(
    format=1,
    teacher="some teacher",
    recipe="some recipe",
    passage_tokens=128,
    sources=(LabelledSource("stdlib", "sha256:1", "PSF-2.0"),),
    excluded=(ExcludedQueries("cranfield", "sha256:2"),),
    candidates=4,
)


def make(number: int = 3, candidates: int = 4) -> Labels:
    rows = {
        hash_query(f"query {i}"): (
            [hash_candidate(f"{i} {place}") for place in range(candidates)],
            np.linspace(-9, 9, candidates).astype(np.float32),
        )
        for i in range(number)
    }
    return make_labels(msgspec.structs.replace(HEADER, candidates=candidates), rows)


@settings(deadline=None, max_examples=30)
@given(number=st.integers(0, 20), candidates=st.integers(1, 16))
def test_it_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, number: int, candidates: int
) -> None:
    file, made = tmp_path_factory.mktemp("labels") / "new" / "a.bin", make(number, candidates)
    write_labels(made, file)
    found = read_labels(file)
    assert found.header == made.header
    assert found.header.queries == number
    for name in ("queries", "candidates", "scores"):
        assert np.array_equal(getattr(found, name), getattr(made, name))
    assert list(file.parent.iterdir()) == [file]


def test_keys_are_those_of_xxh3() -> None:
    assert hash_query("") == 0x2D06800538D394C2, "as its specification has it"
    assert hash_query("what is d\u00e9j\u00e0 vu") == xxhash.xxh3_64_intdigest(
        "what is d\u00e9j\u00e0 vu".encode()
    )
    assert hash_candidate("a list") == xxhash.xxh3_64_intdigest(b"a list") % 2**32
    hash_query("a lone surrogate \ud800")


def change(data: bytes, start: int, new: bytes) -> bytes:
    """Return the file with other bytes at `start`, and a checksum that fits."""
    changed = data[:start] + new + data[start + len(new) : -16]
    return changed + xxhash.xxh3_128_digest(changed)


def header_length(data: bytes) -> int:
    return struct.unpack_from("<I", data, len(MAGIC))[0]  # type: ignore[no-any-return]


def test_what_is_no_whole_label_file_is_refused(tmp_path: Path) -> None:
    write_labels(make(), tmp_path / "whole.bin")
    whole = (tmp_path / "whole.bin").read_bytes()
    start = len(MAGIC) + 4 + header_length(whole)
    flipped = bytearray(whole)
    flipped[start] ^= 1
    other_format = whole.replace(b'"format":1', b'"format":2')
    of_nan = change(whole, len(whole) - 16 - 2, np.float16(np.nan).tobytes())
    twice = change(whole, start + 8, whole[start : start + 8])
    for data, message in (
        (b"", "begins with TWINLBLS"),
        (b"PK\x03\x04 something else", "begins with TWINLBLS"),
        (MAGIC, "expected the header of labels of format 1"),
        (MAGIC + b"\xff\xff\xff\xff{}", "expected the header of labels"),
        (other_format, r"expected the header of labels of format 1 in .*`\$.format`"),
        (whole[:-1], r"expected \d+ bytes in .*: the label file is cut or has grown"),
        (whole[: start + 3], r"expected \d+ bytes"),
        (whole + b"\n", r"expected \d+ bytes"),
        (bytes(flipped), "the label file is damaged"),
        (of_nan, "expected finite scores"),
        (twice, "expected each query once"),
    ):
        (tmp_path / "wrong.bin").write_bytes(data)
        with pytest.raises(TrainingError, match=message):
            read_labels(tmp_path / "wrong.bin")
    with pytest.raises(TrainingError, match=r"expected labels in .*No such file"):
        read_labels(tmp_path / "none.bin")


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_changed_byte_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("labels") / "a.bin"
    write_labels(make(), file)
    whole = bytearray(file.read_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(whole)
    with pytest.raises(TrainingError):
        read_labels(file)


@pytest.mark.parametrize("score", [np.nan, np.inf, 70_000])
def test_a_score_that_float16_does_not_hold_is_refused(score: float) -> None:
    with pytest.raises(TrainingError, match="expected finite scores below 65,504"):
        make_labels(HEADER, {1: ([1, 2, 3, 4], np.array([0, 1, 2, score], np.float32))})


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.bin"
    write_labels(make(2), file)
    before = file.read_bytes()

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TrainingError, match=r"expected to write the labels .*No space left on device"):
        write_labels(make(3), file)
    assert (file.read_bytes(), list(tmp_path.iterdir())) == (before, [file])


def test_a_file_that_is_too_large_to_commit_is_refused(tmp_path: Path) -> None:
    size = MAX_BYTES // (8 + 6 * 4) + 1
    rows = np.zeros((size, 4), np.float32)
    with pytest.raises(TrainingError, match="at most 3,000,000 bytes"):
        write_labels(make_labels(HEADER, {i: (rows[i], rows[i]) for i in range(size)}), tmp_path / "a.bin")


def test_labels_of_another_teacher_or_recipe_are_refused(tmp_path: Path) -> None:
    check_labels(make(), tmp_path, recipe="some recipe", teacher=None)
    with pytest.raises(TrainingError, match=r"labels of the teacher other in .* those of some teacher"):
        check_labels(make(), tmp_path, recipe="some recipe", teacher="other")
    with pytest.raises(TrainingError, match=r"labels of the recipe other in .* those of some recipe"):
        check_labels(make(), tmp_path, recipe="other", teacher="some teacher")
