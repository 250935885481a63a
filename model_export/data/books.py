"""Textbooks in CNXML, the format of OpenStax: headings, questions, and the paragraphs below them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError, parse

from model_export.errors import TrainingError

CNXML = "{http://cnx.rice.edu/cnxml}"
"""The namespace of a module's elements; others, such as formulas, are left out."""
FEWEST_WORDS = 5
"""Paragraphs of fewer words are labels, or the rest of a formula."""

_QUESTION = re.compile(r"[A-Z][^.?!]*\?")


@dataclass(frozen=True)
class BookModule:
    """One module of a book: its headings and questions, and its paragraphs."""

    headings: list[str]
    paragraphs: list[str]


def read_modules(folder: Path) -> Iterator[BookModule]:
    """Yield every module below a folder of books, in the order of their paths.

    Raises:
        TrainingError: there is none, or one is not valid CNXML.
    """
    files = sorted(folder.rglob("index.cnxml"))
    if not files:
        raise TrainingError(f"expected books in CNXML in {folder}, found no index.cnxml below it")
    for file in files:
        try:
            root = parse(file).getroot()  # noqa: S314 - the trainer's own file; expat refuses entity bombs
        except (OSError, ParseError) as error:
            raise TrainingError(f"expected CNXML in {file}, found: {error}") from error
        paragraphs = [text for each in root.iter(f"{CNXML}para") if _is_long(text := _join_text(each))]
        headings = [text for each in root.iter(f"{CNXML}title") if (text := _join_text(each))]
        questions = [found for each in paragraphs for found in _QUESTION.findall(each) if _is_long(found)]
        yield BookModule([*headings, *questions], paragraphs)


def _join_text(element: Element) -> str:
    return " ".join("".join(_iterate_text(element)).split())


def _iterate_text(element: Element) -> Iterator[str]:
    yield element.text or ""
    for child in element:
        if child.tag.startswith(CNXML):
            yield from _iterate_text(child)
        yield child.tail or ""


def _is_long(text: str) -> bool:
    return len(text.split()) >= FEWEST_WORDS
