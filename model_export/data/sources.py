"""The sources that a configuration names: collections to learn from, and collections to exclude."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A section of the file: immutable; an unknown key is an error."""


class Source(Section, frozen=True):
    """One collection to learn from.

    `beir` is a folder; `pairs` a TSV of query and relevant text; `clicks` a CSV or TSV whose header names
    query, document, clicks and impressions. For alignment, `texts` is one text a line and `wordnet` the
    folder of a WordNet database. `cnxml` is a folder of textbooks, whose headings and questions are the
    queries. Files may be gzipped. `template` wraps a query, as `what is {}`. With `spans`, that many spans of
    each document, of `span_words` words, replace the queries. `licence` is written into the manifest.
    """

    kind: Literal["beir", "pairs", "clicks", "texts", "wordnet", "cnxml"]
    path: str
    licence: str
    template: str = "{}"
    max_queries: Count | None = None
    spans: Annotated[int, Meta(ge=0)] = 0
    span_words: tuple[Count, Count] = (2, 12)


class DataSection(Section, frozen=True):
    """Which data to learn from, and which to exclude.

    `exclude` names BEIR folders whose queries, and near duplicates of them, are removed from training.
    `dev_share` of the queries, at most `max_dev`, are kept for development. `like` names a configuration
    beside this one, whose sources and exclusions come before these.
    """

    train: tuple[Source, ...] = ()
    like: str | None = None
    exclude: tuple[str, ...] = ()
    dev_share: Share = 0.05
    max_dev: Count = 500


def describe_sources(sources: Iterable[Source]) -> tuple[str, ...]:
    """Return the names of training sources, each with its licence."""
    return tuple(dict.fromkeys(f"{name_source(each.path)} ({each.licence})" for each in sources))


def name_source(path: str) -> str:
    """Return a source's name, that of its folder: the files in them have the same names."""
    place = Path(path)
    return place.parent.name if place.suffix and place.parent.name else place.name
