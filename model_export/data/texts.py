"""Texts without labels, for embedding alignment: a dictionary's entries, and spans of documents."""

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from model_export.errors import TrainingError

WORDNET_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
SPAN_WORDS = (2, 12)
"""The fewest and the most words of a span, about as long as searches are."""

_EXAMPLE = re.compile(r'"([^"]+)"')


def read_wordnet(folder: Path) -> Iterator[str]:
    """Yield the words, definitions and example sentences of a WordNet database (its format: `man 5wn wndb`).

    Raises:
        TrainingError: a file of the database is missing, or a line does not have its format.
    """
    for name in WORDNET_FILES:
        try:
            lines = (folder / name).read_text().splitlines()
        except OSError as error:
            raise TrainingError(f"expected WordNet's {name} in {folder}, found: {error}") from error
        for number, line in enumerate(lines, 1):
            if not line.startswith("  "):  # the licence comes first, indented
                yield from _parse_entry(line, f"{folder / name}, line {number}")


def draw_spans(
    documents: Iterable[str], *, per_document: int, words: tuple[int, int] = SPAN_WORDS, seed: int = 1
) -> Iterator[str]:
    """Yield random spans of each document, of `words` (fewest, most) words; a shorter document whole."""
    fewest, most = words
    for number, document in enumerate(documents):
        found = document.split()
        chosen = random.Random(f"{seed} {number}")
        for _ in range(min(per_document, 1 + len(found) // most)):
            size = chosen.randint(fewest, most)
            start = chosen.randint(0, max(0, len(found) - size))
            yield " ".join(found[start : start + size])


def _parse_entry(line: str, where: str) -> Iterator[str]:
    fields, bar, gloss = line.partition(" | ")
    try:
        _, _, _, count, *rest = fields.split(" ")
        words = [word.split("(")[0].replace("_", " ") for word in rest[: 2 * int(count, 16) : 2]]
    except ValueError:
        words = []
    if not (bar and words):
        raise TrainingError(f"{where}: expected a synset and its gloss, found {line[:60]!r}")
    yield from words
    definition = _EXAMPLE.sub("", gloss).strip(" ;")
    if definition:
        yield definition
    yield from _EXAMPLE.findall(gloss)
