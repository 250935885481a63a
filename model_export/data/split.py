"""Split queries into training and development: none on both sides, none like an evaluation's query."""

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from model_export.data.collection import JudgedCollection
from model_export.data.examples import Examples, read_examples, read_query_texts
from model_export.data.sources import DataSection, Source, name_source
from model_export.errors import TrainingError
from reranker.tri_letters import split_words

NEAR = 0.8
"""Two queries are near duplicates if the Jaccard index of their word sets is at least this."""


CALIBRATION_SOURCES = ("nq_dev", "squad2_dev")
"""The sources whose queries are in part kept for calibration."""
CALIBRATION_SHARE = 0.2


def is_for_calibration(source: str, query: str) -> bool:
    """Return whether a query of the source of this name is kept for calibration.

    No tower and no label file learns from these: about CALIBRATION_SHARE of the queries of each of
    CALIBRATION_SOURCES. A hash of a query's words decides, so equal queries are on the same side.
    """
    return source in CALIBRATION_SOURCES and _hash_words("calibration", query) < CALIBRATION_SHARE


def remove_calibration(examples: Examples, sources: Sequence[Source]) -> Examples:
    """Remove the queries that are kept for calibration; an id begins with the number of its source."""
    names = [None if each.spans else name_source(each.path) for each in sources]

    def is_kept(query: str, text: str) -> bool:
        name = names[int(query.partition("/")[0])]
        return name is not None and is_for_calibration(name, text)

    return examples.select(query for query, text in examples.queries.items() if not is_kept(query, text))


def select_calibration(collection: JudgedCollection, max_queries: int) -> JudgedCollection:
    """Return at most `max_queries` queries of a collection, those of calibration alone if it has a split.

    Raises:
        TrainingError: none is left.
    """
    kept = {
        i: text
        for i, text in collection.queries.items()
        if collection.name not in CALIBRATION_SOURCES or is_for_calibration(collection.name, text)
    }
    if not kept:
        raise TrainingError(
            f"expected queries of {collection.name} that are kept for calibration, found none"
        )
    return replace(collection, queries=dict(list(kept.items())[:max_queries]))


def split_examples(data: DataSection, *, seed: int) -> tuple[Examples, Examples]:
    """Read the examples, remove queries of calibration and of evaluation, and split the others."""
    return split_clean(remove_calibration(read_examples(data.train), data.train), data, seed=seed)


def split_clean(examples: Examples, data: DataSection, *, seed: int) -> tuple[Examples, Examples]:
    """Remove near duplicates of the evaluation queries that a section excludes, and split as it says."""
    excluded = [text for folder in data.exclude for text in read_query_texts(Path(folder))]
    clean = remove_near_duplicates(examples, excluded) if excluded else examples
    return split(clean, data.dev_share, limit=data.max_dev, seed=seed)


def normalise_words(text: str) -> frozenset[str]:
    """Return the set of a text's words, in lower case, without accents and punctuation."""
    return frozenset(word for word in split_words(text) if word.isalnum())


def remove_near_duplicates(examples: Examples, excluded: Iterable[str]) -> Examples:
    """Remove every query that is like one of `excluded`."""
    near = NearDuplicates(excluded)
    return examples.select(query for query, text in examples.queries.items() if not near.has(text))


def split(examples: Examples, share: float, *, limit: int, seed: int) -> tuple[Examples, Examples]:
    """Split by query: -> examples to learn from, and about `share` of all, at most `limit`, to measure on.

    A hash of its words decides the side of a query, so equal queries of different sources stay together.

    Raises:
        TrainingError: one side would be empty.
    """
    sides: tuple[list[str], list[str]] = ([], [])
    for query, text in examples.queries.items():
        sides[_hash_words(seed, text) < share].append(query)
    learned, kept = sides
    if not learned or not kept:
        raise TrainingError(
            f"expected enough queries to learn from and to measure on, found {len(examples.queries)} in all,"
            f" {len(kept)} of them for development: give more, or another dev_share or seed"
        )
    return examples.select(learned), examples.select(kept[:limit])


def _hash_words(salt: object, text: str) -> float:
    """Return a number from 0 to 1 that the set of a text's words decides."""
    digest = hashlib.sha256(f"{salt} {sorted(normalise_words(text))}".encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


class NearDuplicates:
    """Finds near duplicates of a text among many, by the rarest of its words.

    Two sets of a Jaccard index of at least t share one of the |a| - ceil(t |a|) + 1 rarest words of a, and
    likewise of b (prefix filtering: Bayardo, Ma, Srikant 2007), so only those words are looked up.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._sets = [found for found in map(normalise_words, texts) if found]
        self._counts = Counter(word for each in self._sets for word in each)
        self._by_word: dict[str, list[int]] = {}
        for place, each in enumerate(self._sets):
            for word in self._select_rarest(each):
                self._by_word.setdefault(word, []).append(place)

    def has(self, text: str) -> bool:
        """Return whether one of the texts is like this one."""
        mine = normalise_words(text)
        places = {place for word in self._select_rarest(mine) for place in self._by_word.get(word, ())}
        return any(len(mine & self._sets[i]) >= NEAR * len(mine | self._sets[i]) for i in places)

    def _select_rarest(self, found: frozenset[str]) -> list[str]:
        ordered = sorted(found, key=lambda word: (self._counts[word], word))
        return ordered[: len(found) - math.ceil(NEAR * len(found)) + 1]
