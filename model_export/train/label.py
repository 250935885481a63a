"""Label: let a teacher score the pairs of a recipe, and keep the scores in a label file."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.errors import TrainingError
from model_export.labelling.groups import CandidateGroup, GroupMaker
from model_export.labelling.label_file import (
    MAX_BYTES,
    LabelHeader,
    Labels,
    check_labels,
    hash_candidate,
    hash_query,
    make_labels,
    read_labels,
    write_labels,
)
from model_export.labelling.pool import Pool, PooledQuery, make_pool
from model_export.labelling.recipe import CANDIDATES, Recipe
from model_export.train.score_cache import score_once
from model_export.train.teacher import Pair, Teacher
from reranker.arrays import Floats

SAMPLE = 32
"""How many queries are labelled before the plan is made: some 500 pairs."""
PART = 256
"""How many queries are labelled between two writes of the label file."""

Rows = dict[int, tuple[Sequence[int], Floats]]
"""A query's key -> its candidates' keys, and their scores (candidates,)."""


@dataclass(frozen=True)
class LabelLimits:
    """Which queries of the recipe a run labels: of these sources, or of all, and at most so many.

    `minutes` is how long the teacher scores. `threads` is for the vectors.
    """

    sources: tuple[str, ...] = ()
    queries: int | None = None
    minutes: float = 90.0
    threads: int = 1


def label(
    recipe: Recipe, teacher: Teacher, out: Path, cache: Path, limits: LabelLimits, say: Callable[[str], None]
) -> Labels:
    """Label the recipe's queries into the file `out`, which keeps the labels that it has.

    The file is written after each part, and scores are kept in `cache`, so an interrupted run goes on.

    Raises:
        TrainingError: `out` holds labels of another teacher or recipe, a source has changed, a score is not
            finite, or a file cannot be written.
    """
    try:
        return _LabelRun(recipe, teacher, out, cache, limits, say).complete()
    except OSError as error:
        raise TrainingError(
            f"expected to keep vectors in {cache}, found: {error}. The labels in {out} are whole; make room"
            " and run the command again"
        ) from error


class TimedTeacher:
    """A teacher that measures how many pairs it scores, and in how many seconds."""

    def __init__(self, teacher: Teacher) -> None:
        self._teacher = teacher
        self.pairs = 0
        self.seconds = 0.0

    @property
    def digest(self) -> str:
        """The teacher's own."""
        return self._teacher.digest

    @property
    def rate(self) -> float:
        """Pairs per second; infinite if all were known."""
        return self.pairs / self.seconds if self.seconds else np.inf

    def score_pairs(self, pairs: Sequence[Pair]) -> Floats:
        """Return the logit of each pair's relevance: (pairs,) float32."""
        started = time.monotonic()
        found = self._teacher.score_pairs(pairs)
        self.seconds += time.monotonic() - started
        self.pairs += len(pairs)
        return found


class _LabelRun:
    def __init__(
        self,
        recipe: Recipe,
        teacher: Teacher,
        out: Path,
        cache: Path,
        limits: LabelLimits,
        say: Callable[[str], None],
    ) -> None:
        pool = make_pool(recipe)
        self._teacher = TimedTeacher(teacher)
        self._header = pool.make_header(teacher.digest)
        self._out = out
        self._cache = cache
        self._limits = limits
        self._say = say
        self._rows = _read_rows(out, self._header)
        self._wanted = _select_sources(pool, limits.sources)[: limits.queries]
        self._todo = [each for each in self._wanted if hash_query(each.text) not in self._rows]
        self._groups = GroupMaker(pool, cache, threads=limits.threads)
        most = MAX_BYTES // (8 + 6 * CANDIDATES) - 100  # room for the header
        if len(self._rows) + len(self._todo) > most:
            raise TrainingError(
                f"expected at most {most:,} queries in a label file of {MAX_BYTES:,} bytes, found"
                f" {len(self._wanted):,}: lower max_queries of the sources, or label fewer"
            )

    def complete(self) -> Labels:
        known = len(self._wanted) - len(self._todo)
        self._say(f"{len(self._wanted):,} queries, {known:,} of them labelled in {self._out}")
        self._measure_rate()
        for part in self._draw_parts(self._plan()):
            self._label_part(part)
            done = len(self._rows)
            self._say(f"{done:,} queries labelled; {self._teacher.rate:.1f} pairs a second")
            if self._teacher.seconds > 60 * self._limits.minutes:
                self._say(f"stopped after {self._limits.minutes:g} minutes: run the command again to go on")
                break
        return self._write()

    def _measure_rate(self) -> None:
        """Label the first queries, and more and more of them until the teacher has scored some."""
        size = SAMPLE
        while self._todo and not self._teacher.pairs:
            first, self._todo = self._todo[:size], self._todo[size:]
            self._label_part(self._groups.draw(first))
            size *= 8

    def _plan(self) -> list[PooledQuery]:
        """Say how long the rest takes, and return the queries for which there is time."""
        if not self._todo:
            return []
        rate, pairs = self._teacher.rate, CANDIDATES * len(self._todo)
        minutes = pairs / rate / 60
        self._say(
            f"plan: {len(self._todo):,} queries of {CANDIDATES} candidates, {pairs:,} pairs at {rate:.1f} a"
            f" second (measured on {self._teacher.pairs}): {minutes:.0f} minutes"
        )
        left = self._limits.minutes - self._teacher.seconds / 60
        if minutes <= left:
            return self._todo
        fitting = max(0, int(60 * left * rate / CANDIDATES))
        self._say(
            f"that is more than {self._limits.minutes:g} minutes: {fitting:,} of these queries are labelled"
            " now; run the command again for more"
        )
        return self._todo[:fitting]

    def _draw_parts(self, queries: Sequence[PooledQuery]) -> list[list[CandidateGroup]]:
        groups = self._groups.draw(queries)
        return [groups[start : start + PART] for start in range(0, len(groups), PART)]

    def _label_part(self, groups: Sequence[CandidateGroup]) -> None:
        """Score the pairs of some groups, sorted by length, and write the file with them."""
        pairs = [(group.query, self._groups.cut(passage)) for group in groups for passage in group.candidates]
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i][0]) + len(pairs[i][1]))
        scores = np.empty(len(pairs), np.float32)
        scores[order] = score_once(self._teacher, [pairs[i] for i in order], self._cache / "scores.sqlite")
        for group, row in zip(groups, scores.reshape(len(groups), -1), strict=True):
            keys = [hash_candidate(passage) for passage in group.candidates]
            self._rows[hash_query(group.query)] = keys, row
        self._write()

    def _write(self) -> Labels:
        labels = make_labels(self._header, self._rows)
        write_labels(labels, self._out)
        return labels


def _select_sources(pool: Pool, names: Sequence[str]) -> list[PooledQuery]:
    """Return the queries of the sources of these names, or of all if none is named.

    Raises:
        TrainingError: the recipe has no such source.
    """
    of_source = [each.name for each in pool.named]
    if unknown := sorted(set(names) - set(of_source)):
        raise TrainingError(f"expected sources among {sorted(set(of_source))}, found {unknown}")
    return [each for each in pool.queries if not names or of_source[each.source] in names]


def _read_rows(file: Path, header: LabelHeader) -> Rows:
    """Return the labels that a file already has, if it exists.

    Raises:
        TrainingError: they are of another teacher or recipe.
    """
    if not file.exists():
        return {}
    labels = read_labels(file)
    check_labels(labels, file, recipe=header.recipe, teacher=header.teacher)
    rows = zip(labels.queries.tolist(), labels.candidates.tolist(), labels.scores, strict=True)
    return {key: (candidates, scores.astype(np.float32)) for key, candidates, scores in rows}
