"""Rules: which queries they are for, and what a boost or a bury does to the order of a window.

Texts are compared without regard to case, width and extra spaces (`reranker.exact.normalise`). The tables
are built once, so that a search pays for the rules that may match, and not for all of them.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import cached_property

import numpy as np

from reranker.arrays import Floats64
from reranker.exact import normalise
from reranker.rerank import Ranking

MAX_CHARS = 1_000
"""A longer text is no typed query: no condition on its text holds."""

MAX_LOG_FACTOR = 300.0
"""The logarithm of the largest factor of a hit by all boosts together: more would not fit a float64."""

_IDENTIFIER = re.compile(r"(?=.*\d)[\w\-./#:+]{1,64}")
_WILDCARDS = re.compile(r"[*?]+")


@dataclass(frozen=True)
class TextCondition:
    """What a query's text is compared with: `kind` is `is`, `contains` or `pattern`."""

    kind: str
    text: str


@dataclass(frozen=True)
class _Pattern:
    """A pattern, and its longest part without wildcards, which a text must contain."""

    number: int
    text: str
    part: str

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """What a text must match as a whole; made for the first text that has the part."""
        return re.compile(translate(self.text.replace("[", "[[]")))


class QueryTable:
    """Finds the conditions that hold for a text; they are named by their positions."""

    def __init__(self, conditions: Sequence[TextCondition | None]) -> None:
        """Build the tables; None is a condition that holds for every search, even without a text."""
        self._always = tuple(number for number, each in enumerate(conditions) if each is None)
        self._whole: dict[str, list[int]] = defaultdict(list)
        self._by_first_word: dict[str, list[tuple[int, tuple[str, ...]]]] = defaultdict(list)
        self._patterns: list[_Pattern] = []
        for number, each in enumerate(conditions):
            if each is not None:
                self._add(number, each.kind, normalise(each.text))

    def find(self, text: str) -> list[int]:
        """Return the conditions that hold, in ascending order; `text` is what `normalise` returns."""
        found = {*self._always}
        if text and len(text) <= MAX_CHARS:
            found.update(self._whole.get(text, ()), self._find_words(text))
            patterns = (each for each in self._patterns if each.part in text)
            found.update(each.number for each in patterns if each.expression.match(text))
        return sorted(found)

    def _add(self, number: int, kind: str, text: str) -> None:
        if kind == "is":
            self._whole[text].append(number)
        elif kind == "contains":
            first, *others = text.split() or [""]
            self._by_first_word[first].append((number, tuple(others)))
        else:
            part = max(_WILDCARDS.split(text), key=len)
            self._patterns.append(_Pattern(number, text, part))

    def _find_words(self, text: str) -> Iterator[int]:
        if not self._by_first_word:
            return
        words = text.split()
        for at, word in enumerate(words, 1):
            for number, others in self._by_first_word.get(word, ()):
                if tuple(words[at : at + len(others)]) == others:
                    yield number


def is_identifier(text: str) -> bool:
    """Whether a text is one word with a digit, such as a part number; `text` is what `normalise` returns."""
    return _IDENTIFIER.fullmatch(text) is not None


def apply_boosts(ranking: Ranking, log_factors: Iterable[Floats64], *, is_logarithm: bool) -> Ranking:
    """Multiply a window's fused scores by the factors of boosts and buries, and order it again.

    Args:
        ranking: the order so far.
        log_factors: (num_hits,) float64 for each of them, in first-stage order: the logarithms of factors of
            at least 1, so that no hit of the window falls below those beyond it.
        is_logarithm: whether `ranking.fused` has logarithms, as those of `log_linear` are.

    Returns:
        The new order, ties in first-stage order; `boosts` is filled.
    """
    factors = np.stack(list(log_factors))
    total = np.minimum(factors.sum(axis=0), MAX_LOG_FACTOR)
    fused = ranking.fused + total if is_logarithm else ranking.fused * np.exp(total)
    return replace(ranking, order=np.argsort(-fused, kind="stable"), fused=fused, boosts=factors)
