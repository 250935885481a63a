"""How good and how fast a teacher is, collection by collection, beside BM25 and bundles."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from model_export.data.collection import JudgedCollection
from model_export.evaluation.cosines import EncodeQuery, encode_hits
from model_export.evaluation.measures import average_collections, estimate_interval, measure_queries
from model_export.evaluation.speed import TimedRun, describe_processor, read_load_average
from model_export.evaluation.systems import (
    make_first_stage,
    order_as_shipped,
    score_with_bundle,
    score_with_teacher,
)
from model_export.train.teacher import Teacher
from reranker.arrays import Floats, Floats64
from reranker.bundle import Bundle
from reranker.crossing import Crossing

MEASURE, BAD = "nDCG@10", "bad/judged@10"
PAIRS = 100
"""Times are for so many pairs."""


@dataclass(frozen=True)
class TeacherTable:
    """Measures of BM25, of bundles as shipped and of a teacher, by query, and the time of 100 pairs.

    The teacher is the last of `systems`, and the first bundle, `systems[1]`, is what all are compared with.
    """

    systems: tuple[str, ...]
    collections: tuple[str, ...]
    quality: tuple[tuple[Floats64, ...], ...]
    """nDCG@10 by collection and system: (queries,)."""
    bad: tuple[tuple[Floats64, ...], ...]
    """The share of bad hits in the judged of the first ten, likewise, NaN for a query without any."""
    times_ms: tuple[tuple[tuple[float, float], ...], ...]
    """By collection and system, without BM25: processor time and wall-clock time of 100 pairs."""
    note: str
    """The processor and its load."""

    def format(self) -> Iterator[str]:
        """Yield the tables by collection as Markdown."""
        yield "nDCG@10 of BM25's best hits reordered; in brackets how many queries were used."
        yield ""
        yield from self._format_quality()
        yield ""
        yield f"Difference to {self.systems[1]} on the same queries, with its 95 % bootstrap interval."
        yield f"The teacher is *better* or *worse* than {self.systems[1]} if the interval excludes 0."
        yield ""
        yield from self._format_differences()
        yield ""
        yield from self._format_verdict()
        yield ""
        yield f"Processor time of {PAIRS} pairs, in brackets wall-clock time, in ms."
        yield "A bundle encodes a query and scores its hits' stored vectors; a teacher reads each pair."
        yield ""
        yield from self._format_times()
        yield ""
        yield self.note

    def format_summary(self) -> Iterator[str]:
        """Yield quality against cost: one row for each system."""
        better = [i for i, each in enumerate(self.quality) if _judge([each[-1] - each[1]]) == "better"]
        yield "Quality against cost: means over the collections, with the 95 % bootstrap interval of nDCG@10."
        names = _join([self.collections[i] for i in better])
        yield f"*Gain* is the share of the teacher's gain over BM25 where the teacher is better: {names}."
        yield "*Bad* is the share of bad hits in the judged ones of the first ten."
        yield f"*ms* is the processor time of {PAIRS} pairs on one thread."
        yield ""
        yield _format_row("", [MEASURE, "", "gain", "bad", "ms"])
        yield _format_row("---", ["---:"] * 5)
        gains = [self._pool_gain(better, i) for i in range(len(self.systems))]
        for i, system in enumerate(self.systems):
            quality = [each[i] for each in self.quality]
            low, high = estimate_interval(quality)
            cells = [f"{average_collections(quality):.3f}", f"({low:.3f} to {high:.3f})"]
            cells.append(f"{100 * gains[i] / gains[-1]:.0f} %" if i and gains[-1] > 0 else "")
            cells.append(f"{average_collections([each[i] for each in self.bad]):.3f}")
            cells.append(_format_ms(float(np.mean([each[i - 1][0] for each in self.times_ms]))) if i else "")
            yield _format_row(system, cells)
        yield ""
        yield self.note

    def _pool_gain(self, collections: Sequence[int], system: int) -> float:
        """Return a system's mean gain over BM25 on all queries of these collections, NaN if there is none."""
        gains = [self.quality[i][system] - self.quality[i][0] for i in collections]
        return float(np.concatenate(gains).mean()) if gains else float("nan")

    def _format_quality(self) -> Iterator[str]:
        yield _format_row("", self.systems)
        yield _format_row("---", ["---:"] * len(self.systems))
        for name, found in zip(self.collections, self.quality, strict=True):
            yield _format_row(f"{name} ({len(found[0])})", [f"{each.mean():.3f}" for each in found])
        means = [average_collections([found[i] for found in self.quality]) for i in range(len(self.systems))]
        yield _format_row("mean", [f"{each:.3f}" for each in means])

    def _format_differences(self) -> Iterator[str]:
        others = [i for i in range(len(self.systems)) if i != 1]
        yield _format_row("", [*(self.systems[i] for i in others), "the teacher is"])
        yield _format_row("---", ["---:"] * len(others) + ["---"])
        for name, found in zip(self.collections, self.quality, strict=True):
            pairs = [found[i] - found[1] for i in others]
            yield _format_row(name, [*(_format_difference([each]) for each in pairs), _judge([pairs[-1]])])
        whole = [[found[i] - found[1] for found in self.quality] for i in others]
        yield _format_row("mean", [*map(_format_difference, whole), _judge(whole[-1])])

    def _format_verdict(self) -> Iterator[str]:
        found = {
            name: _judge([each[-1] - each[1]])
            for name, each in zip(self.collections, self.quality, strict=True)
        }
        worse = [name for name, each in found.items() if each == "worse"]
        lower = [
            name
            for name, each in zip(self.collections, self.quality, strict=True)
            if found[name] != "worse" and each[-1].mean() < each[1].mean()
        ]
        yield f"The teacher is worse than {self.systems[1]} on {_join(worse)}."
        yield f"Its figure is lower, within the interval, on {_join(lower)}."
        yield "Where it is worse, it must not teach."

    def _format_times(self) -> Iterator[str]:
        yield _format_row("", self.systems[1:])
        yield _format_row("---", ["---:"] * (len(self.systems) - 1))
        for name, times in zip(self.collections, self.times_ms, strict=True):
            cells = [f"{_format_ms(processor)} ({_format_ms(clock)})" for processor, clock in times]
            yield _format_row(name, cells)


def measure_teacher(
    name: str,
    teacher: Teacher,
    bundles: Sequence[Bundle],
    collections: Sequence[JudgedCollection],
    cache: Path,
    *,
    rounds: int,
    say: Callable[[str], None],
) -> TeacherTable:
    """Measure a teacher and bundles on each collection; `say` gets the figures of each as it is done.

    Scores and vectors are kept in `cache`, so that a run goes on where another stopped.

    Raises:
        TrainingError: a score is not finite, or the cache cannot be written.
    """
    systems = ("BM25", *(f"{each.name} as shipped" for each in bundles), name)
    before, quality, bad, times = read_load_average(), [], [], []
    for data in collections:
        found = _measure_collection(name, teacher, bundles, data, cache)
        quality.append(tuple(each[MEASURE] for each in found))
        bad.append(tuple(each[BAD] for each in found))
        times.append(_measure_times(teacher, bundles, data, cache, rounds))
        figures = (f"{system} {each.mean():.3f}" for system, each in zip(systems, quality[-1], strict=True))
        say(f"{data.name}: {', '.join(figures)}")
    load = f"the load was {before:.1f} before and {read_load_average():.1f} after the run"
    note = f"Measured on {describe_processor()}; {load}."
    names = tuple(data.name for data in collections)
    return TeacherTable(systems, names, tuple(quality), tuple(bad), tuple(times), note)


def _measure_collection(
    name: str, teacher: Teacher, bundles: Sequence[Bundle], data: JudgedCollection, cache: Path
) -> tuple[dict[str, Floats64], ...]:
    """Return the measures of BM25, of each bundle and of the teacher: (queries,) each."""
    systems = [make_first_stage([data])]
    for bundle in bundles:
        scored = score_with_bundle(bundle, [data], cache)
        systems.append(order_as_shipped(scored, bundle, [data], cache))
    systems.append(score_with_teacher(name, teacher, [data], cache, 1.0))
    return tuple(measure_queries(data, system.runs[0]) for system in systems)


def _measure_times(
    teacher: Teacher, bundles: Sequence[Bundle], data: JudgedCollection, cache: Path, rounds: int
) -> tuple[tuple[float, float], ...]:
    """Time bundles and the teacher in turn on the query with the most hits; NaN if no query has any."""
    query = max(data.hits, key=lambda each: len(data.hits[each]))
    text, hits = data.queries[query], list(data.hits[query])
    if not hits:
        return ((float("nan"), float("nan")),) * (len(bundles) + 1)
    pairs = [(text, data.documents[hit]) for hit in hits]
    runs = []
    for bundle in bundles:
        vectors = encode_hits(bundle, data, cache, threads=1)
        matrix = np.concatenate([vectors[hit] for hit in hits])
        score = partial(_score_stored, bundle.load_query_encoder(), bundle.load_crossing(), text, matrix)
        runs.append(TimedRun(bundle.name, score, 5))
    runs.append(TimedRun("teacher", partial(teacher.score_pairs, pairs), 1))
    for _ in range(rounds):
        for run in runs:
            run.measure()
    scale = PAIRS / len(hits)
    return tuple((scale * run.medians_ms[0], scale * run.medians_ms[1]) for run in runs)


def _score_stored(encode: EncodeQuery, crossing: Crossing, text: str, vectors: Floats) -> Floats:
    """Return the scores of stored vectors (chunks, dim) for a query: (chunks,)."""
    return crossing(encode(text), vectors)


def _judge(differences: Sequence[Floats64]) -> str:
    low, high = estimate_interval(differences)
    return "better" if low > 0 else "worse" if high < 0 else "neither"


def _format_difference(differences: Sequence[Floats64]) -> str:
    low, high = estimate_interval(differences)
    return f"{average_collections(differences):+.3f} ({low:+.3f} to {high:+.3f})"


def _join(names: Sequence[str]) -> str:
    return ", ".join(names) or "no collection"


def _format_ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def _format_row(head: str, cells: Sequence[str]) -> str:
    return f"| {head} | {' | '.join(cells)} |"
