"""The texts of the recorded indices: version 0.1's own documentation, under this project's licence."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_DOCUMENTS = 320
LEAST_CHARS, MOST_CHARS = 80, 900
PAGES = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/*.md")

RUSSIAN = (
    "Чтобы сварить суп, сначала промойте овощи и поставьте воду на огонь.",
    "Поезд на север отправляется вечером и приходит рано утром.",
    "Библиотека открыта каждый день, кроме понедельника.",
    "Хлеб хранится дольше, если завернуть буханку в полотенце.",
    "Для поиска по тексту установите OpenSearch и создайте индекс.",
    "Осенью дни становятся короче, зато ночи длиннее.",
    "Как сварить кофе в турке: насыпьте, залейте водой и не давайте закипеть.",
    "Зимой птицы прилетают к кормушке за семечками.",
)
"""Sentences in a script that the bundles do not read; written for these tests."""


def read_documents(root: Path) -> list[dict[str, Any]]:
    """Return one document a paragraph of the documentation in `root`, and a few of other forms."""
    files = [file for pattern in PAGES for file in sorted(root.glob(pattern))]
    paragraphs = [each for file in files for each in _read_paragraphs(file)]
    step = len(paragraphs) / min(len(paragraphs), MAX_DOCUMENTS)
    chosen = [paragraphs[int(place * step)] for place in range(min(len(paragraphs), MAX_DOCUMENTS))]
    return [{"_id": f"p{number}", **each} for number, each in enumerate(chosen)] + _make_others(root, chosen)


def _make_others(root: Path, paragraphs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a text of many chunks, fields of several values, and documents without text."""
    several = [each["body"] for each in paragraphs if each["page"] == "sync"][:3]
    tags, settings = {"tags": ["sync", "vector"]}, _flatten(root / "docs/settings.md")
    return [
        {"_id": "long", "title": "Settings, whole", "body": settings, "page": "settings"},
        {"_id": "several-1", "title": ["Sync", "Feed"], "body": several, "about": tags, "page": "sync"},
        {"_id": "several-2", "body": several[::-1], "about": [tags, {"tags": "settings"}], "page": "sync"},
        {"_id": "title-alone", "title": "A vector field without a text", "page": "none"},
        {"_id": "no-text", "page": "none"},
        {"_id": "empty", "title": "", "body": [], "page": "none"},
    ]  # fmt: skip


def _read_paragraphs(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the paragraphs and list entries below each heading, without code and tables."""
    text = re.sub(r"```.*?```", "", file.read_text(), flags=re.DOTALL)
    page, heading = file.stem.lower(), file.stem
    for block in re.split(r"\n\s*\n|\n(?=- )", text):
        if block.lstrip().startswith("#"):
            heading = block.strip().lstrip("# ").split("\n")[0]
            continue
        body = _plain(block)
        if LEAST_CHARS <= len(body) <= MOST_CHARS and not re.search(r"^\s*\||\.\./", block, re.MULTILINE):
            yield {"title": heading, "body": body, "about": {"tags": [page]}, "page": page}


def _plain(text: str) -> str:
    """Return Markdown without links' targets, marks and line breaks."""
    return " ".join(re.sub(r"\]\([^)]*\)|[`*\[\]]", "", text).split()).removeprefix("- ")


def _flatten(file: Path) -> str:
    return _plain(file.read_text())
