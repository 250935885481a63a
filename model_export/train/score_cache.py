"""A teacher's scores on disk, by pair: a pair is scored once, even if a run is interrupted."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from model_export.errors import TrainingError
from model_export.train.teacher import Pair, Teacher
from reranker.arrays import Floats

PART = 512
"""How many pairs are scored, and committed, at a time."""


def score_once(teacher: Teacher, pairs: Sequence[Pair], file: Path) -> Floats:
    """Score pairs, or read this teacher's earlier scores of them: -> (pairs,) float32 logits.

    Raises:
        TrainingError: the file is not a score cache or cannot be written, or a score is not finite.
    """
    digest = teacher.digest.encode()
    keys = [_make_key(digest, pair) for pair in pairs]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE IF NOT EXISTS scores (pair BLOB PRIMARY KEY, score REAL NOT NULL)")
            missing = dict(zip(keys, pairs, strict=True))
            for key in _read_known(database, list(missing)):
                missing.pop(key, None)
            _score(database, teacher, missing)
            known = _read_known(database, keys)
    except (sqlite3.Error, OSError) as error:
        raise TrainingError(f"expected a cache of scores in {file}, found: {error}") from error
    return np.array([known[key] for key in keys], np.float32)


def _make_key(digest: bytes, pair: Pair) -> bytes:
    query, document = (text.encode("utf-8", "surrogatepass") for text in pair)
    return hashlib.sha256(digest + len(query).to_bytes(8, "big") + query + document).digest()[:16]


def _read_known(database: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, float]:
    found: dict[bytes, float] = {}
    for part in _split(keys):
        marks = ",".join("?" * len(part))
        found.update(
            database.execute(f"SELECT pair, score FROM scores WHERE pair IN ({marks})", part)  # noqa: S608
        )
    return found


def _score(database: sqlite3.Connection, teacher: Teacher, missing: dict[bytes, Pair]) -> None:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("teacher's scores", total=len(missing))
        for part in _split(list(missing)):
            scores = teacher.score_pairs([missing[key] for key in part])
            if not np.isfinite(scores).all():
                wrong = missing[part[int(np.argmin(np.isfinite(scores)))]]
                raise TrainingError(
                    f"expected finite scores of the teacher, found {scores[~np.isfinite(scores)][0]} for the"
                    f" query {wrong[0][:80]!r} and the document {wrong[1][:80]!r}"
                )
            with database:
                database.executemany(
                    "INSERT OR IGNORE INTO scores VALUES (?, ?)", zip(part, scores.tolist(), strict=True)
                )
            progress.advance(task, len(part))


def _split(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), PART):
        yield keys[start : start + PART]
