"""What a configuration names as sources: the collections to learn from, and those to keep apart."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the file: immutable, and a key that is not known is an error."""


class Source(Section, frozen=True):
    """One collection to learn from.

    `beir` is a folder; `pairs` a TSV of query and relevant text; `clicks` a TSV with the columns query,
    document, clicks, impressions; for alignment, `texts` is one text a line, `wordnet` the folder of a
    WordNet database and `cnxml` one of textbooks, whose headings and questions are the queries. Files may be
    gzipped. `template` wraps a query, as `what is {}`. With `spans`, so many pieces of each document, of
    `span_words` words, are learned from in place of the queries. `licence` is written into the manifest.
    """

    kind: Literal["beir", "pairs", "clicks", "texts", "wordnet", "cnxml"]
    path: str
    licence: str
    template: str = "{}"
    max_queries: Count | None = None
    spans: Annotated[int, Meta(ge=0)] = 0
    span_words: tuple[Count, Count] = (2, 12)


class DataSection(Section, frozen=True):
    """What is learned from, and what must not be.

    `exclude` names BEIR folders whose queries, and near duplicates of them, are removed from training.
    `dev_share` of the queries are kept for development, at most `max_dev`. With `like`, the sources and
    exclusions of that configuration, a file beside this one, come before these.
    """

    train: tuple[Source, ...] = ()
    like: str | None = None
    exclude: tuple[str, ...] = ()
    dev_share: Share = 0.05
    max_dev: Count = 500


def describe_sources(data: DataSection) -> tuple[str, ...]:
    """Return what is learned from, each source with its licence."""
    return tuple(dict.fromkeys(f"{_name_source(each.path)} ({each.licence})" for each in data.train))


def _name_source(path: str) -> str:
    """Return a source's name: its folder's, since files in them are all called alike."""
    place = Path(path)
    return place.parent.name if place.suffix and place.parent.name else place.name
