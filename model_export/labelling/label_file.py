"""The label file: a teacher's scores of pairs, without any text.

The layout, little-endian: MAGIC, the header's length as uint32, the header as JSON, then for all queries
their keys (uint64), their candidates' keys (uint32), the scores (float16), and at the end the xxh3-128 of all
that. A key is a hash of a text. Who has the texts finds the scores; the scores do not give the texts.
"""

import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash
from msgspec import Meta

from model_export.errors import TrainingError
from reranker.arrays import Floats

MAGIC = b"TWINLBLS"
MAX_BYTES = 3_000_000
"""The largest label file, because it is committed."""

QueryKeys = npt.NDArray[np.uint64]
CandidateKeys = npt.NDArray[np.uint32]
Scores16 = npt.NDArray[np.float16]

Digest = Annotated[str, Meta(min_length=1, max_length=128)]
_LENGTH = struct.Struct("<I")
_CHECKSUM_BYTES = 16


class LabelledSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source of the queries and candidates: its name, the checksum of its content, its licence."""

    name: str
    checksum: Digest
    licence: str


class ExcludedQueries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A collection none of whose queries is in the file: its name, and the checksum of its queries."""

    name: str
    checksum: Digest


class LabelHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the scores are of: the teacher, the recipe of the pairs, and where their texts come from.

    `passage_tokens` is where passages were cut before they were scored. `queries` and `candidates` give the
    shape of the scores.
    """

    format: Literal[1]
    teacher: Digest
    recipe: Digest
    passage_tokens: Annotated[int, Meta(ge=1)]
    sources: tuple[LabelledSource, ...]
    excluded: tuple[ExcludedQueries, ...]
    candidates: Annotated[int, Meta(ge=1)]
    queries: Annotated[int, Meta(ge=0)] = 0


@dataclass(frozen=True)
class Labels:
    """The scores of the candidates of many queries.

    `queries` are (queries,) keys in rising order, `candidates` (queries, candidates) keys, `scores` the
    teacher's logits of the same shape.
    """

    header: LabelHeader
    queries: QueryKeys
    candidates: CandidateKeys
    scores: Scores16


def hash_query(text: str) -> int:
    """Return a query's key: its xxh3-64."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def hash_candidate(text: str) -> int:
    """Return a candidate's key, from its whole text: the low 32 bits of its xxh3-64."""
    return hash_query(text) & 0xFFFFFFFF


def make_labels(header: LabelHeader, rows: Mapping[int, tuple[npt.ArrayLike, Floats]]) -> Labels:
    """Return labels from a query's key -> the keys and scores of its `header.candidates` candidates.

    Raises:
        TrainingError: a score is not finite, or too large for float16.
    """
    keys = sorted(rows)
    candidates = np.array([rows[key][0] for key in keys], np.uint32).reshape(len(keys), header.candidates)
    scores = np.array([rows[key][1] for key in keys], np.float32).reshape(candidates.shape)
    with np.errstate(over="ignore"):
        short = scores.astype(np.float16)
    if not np.isfinite(short).all():
        raise TrainingError("expected finite scores below 65,504 to write labels, found others")
    return Labels(
        msgspec.structs.replace(header, queries=len(keys)), np.array(keys, np.uint64), candidates, short
    )


def read_labels(file: Path) -> Labels:
    """Read and verify a label file.

    Raises:
        TrainingError: it is missing, not a label file, of another format, truncated or changed, or it holds
            a score that is not finite.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise TrainingError(f"expected labels in {file}, found: {error.strerror}") from error
    if not data.startswith(MAGIC):
        raise TrainingError(
            f"expected a label file, which begins with {MAGIC.decode()}, in {file}, found none"
        )
    header, start = _read_header(data, file)
    shape = header.queries, header.candidates
    expected = start + header.queries * (8 + 6 * header.candidates) + _CHECKSUM_BYTES
    if len(data) != expected:
        raise TrainingError(
            f"expected {expected} bytes in {file}, found {len(data)}: the label file is cut or has grown."
            " Restore it, or label again"
        )
    if data[-_CHECKSUM_BYTES:] != xxhash.xxh3_128_digest(data[:-_CHECKSUM_BYTES]):
        raise TrainingError(
            f"expected the checksum at the end of {file} to fit, found another: the label file is damaged."
            " Restore it, or label again"
        )
    return _check_rows(_split_rows(header, data, start, shape), file)


def check_labels(labels: Labels, file: Path, *, recipe: str, teacher: str | None) -> None:
    """Check that labels are of this recipe, and of this teacher, given their digests.

    Raises:
        TrainingError: they are of another.
    """
    for what, expected, found in (
        ("teacher", teacher, labels.header.teacher),
        ("recipe", recipe, labels.header.recipe),
    ):
        if expected is not None and expected != found:
            raise TrainingError(
                f"expected labels of the {what} {expected[:16]} in {file}, found those of {found[:16]}:"
                f" name the {what} that they were made with, or another label file"
            )


def write_labels(labels: Labels, file: Path) -> None:
    """Write a label file completely or not at all: an earlier one stays until the new one is whole.

    Raises:
        TrainingError: it is larger than MAX_BYTES, or cannot be written.
    """
    header = msgspec.json.encode(labels.header)
    parts = (labels.queries.astype("<u8"), labels.candidates.astype("<u4"), labels.scores.astype("<f2"))
    data = MAGIC + _LENGTH.pack(len(header)) + header + b"".join(part.tobytes() for part in parts)
    data += xxhash.xxh3_128_digest(data)
    if len(data) > MAX_BYTES:
        raise TrainingError(
            f"expected a label file of at most {MAX_BYTES:,} bytes, found {len(data):,} for"
            f" {labels.header.queries:,} queries: label fewer"
        )
    partial = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
        partial = Path(name)
        with open(descriptor, "wb") as out:  # noqa: PTH123  # the descriptor that mkstemp opened
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        partial.chmod(0o644)
        partial.replace(file)
    except OSError as error:
        if partial is not None:
            partial.unlink(missing_ok=True)
        raise TrainingError(
            f"expected to write the labels {file}, found: {error.strerror}. An earlier file is unchanged"
        ) from error


def _read_header(data: bytes, file: Path) -> tuple[LabelHeader, int]:
    """Return the header and where it ends."""
    start = len(MAGIC) + _LENGTH.size
    try:
        (length,) = _LENGTH.unpack_from(data, len(MAGIC))
        header = msgspec.json.decode(data[start : start + length], type=LabelHeader)
    except (struct.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TrainingError(f"expected the header of labels of format 1 in {file}, found: {error}") from error
    return header, start + length


def _split_rows(header: LabelHeader, data: bytes, start: int, shape: tuple[int, int]) -> Labels:
    count = header.queries * header.candidates
    queries = np.frombuffer(data, "<u8", header.queries, start)
    candidates = np.frombuffer(data, "<u4", count, start + queries.nbytes).reshape(shape)
    scores = np.frombuffer(data, "<f2", count, start + queries.nbytes + candidates.nbytes).reshape(shape)
    return Labels(header, queries, candidates, scores)


def _check_rows(labels: Labels, file: Path) -> Labels:
    if not np.isfinite(labels.scores).all():
        raise TrainingError(f"expected finite scores in {file}, found others")
    if (labels.queries[1:] <= labels.queries[:-1]).any():
        raise TrainingError(f"expected each query once, in rising order of keys, in {file}, found others")
    return labels
