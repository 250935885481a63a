"""What can be labelled: the recipe's queries in the order of labelling, and the passages of each source."""

import hashlib
from dataclasses import dataclass

from model_export.data.examples import Examples
from model_export.data.split import NearDuplicates, is_for_calibration
from model_export.errors import TrainingError
from model_export.labelling.label_file import ExcludedQueries, LabelHeader, LabelledSource
from model_export.labelling.recipe import CANDIDATES, Recipe, hash_recipe, read_excluded, read_sources


@dataclass(frozen=True)
class PooledQuery:
    """A query that may be labelled: the number of its source, its id there, and its text."""

    source: int
    id: str
    text: str


@dataclass(frozen=True)
class Pool:
    """The queries in the order of labelling, and each source's passages and judgements.

    Any first part of `queries` is a fair sample of all sources. `kept_out` are the queries of calibration and
    of the excluded collections: none of `queries` is like one of them.
    """

    recipe: Recipe
    digest: str
    sources: list[Examples]
    queries: list[PooledQuery]
    named: tuple[LabelledSource, ...]
    excluded: tuple[ExcludedQueries, ...]
    kept_out: tuple[str, ...]

    def make_header(self, teacher: str) -> LabelHeader:
        """Return the header of labels of a teacher with this digest."""
        return LabelHeader(
            format=1,
            teacher=teacher,
            recipe=self.digest,
            passage_tokens=self.recipe.passage_tokens,
            sources=self.named,
            excluded=self.excluded,
            candidates=CANDIDATES,
        )


def make_pool(recipe: Recipe) -> Pool:
    """Read the sources, and leave out what must not be labelled.

    These are the queries that are kept for calibration, those of the excluded collections, and near
    duplicates of both.

    Raises:
        TrainingError: a source cannot be read or has changed, or no query is left.
    """
    found, named = read_sources(recipe)
    texts, excluded = read_excluded(recipe)
    calibration = [
        text
        for source, name in zip(found, named, strict=True)
        for text in source.queries.values()
        if is_for_calibration(name.name, text)
    ]
    kept_out = (*texts, *calibration)
    near = NearDuplicates(kept_out)
    by_text: dict[str, PooledQuery] = {}
    for number, source in enumerate(found):
        for i, text in source.queries.items():
            if text not in by_text and not near.has(text):
                by_text[text] = PooledQuery(number, i, text)
    if not by_text:
        raise TrainingError("expected queries to label, found none that are not kept out")
    ordered = sorted(by_text.values(), key=lambda query: _hash_order(recipe.seed, query.text))
    limits = [each.max_passages for each in recipe.sources]
    sources = [_limit_passages(each, limit) for each, limit in zip(found, limits, strict=True)]
    digest = hash_recipe(recipe, named, excluded)
    return Pool(recipe, digest, sources, ordered, named, excluded, kept_out)


def _hash_order(seed: int, text: str) -> bytes:
    return hashlib.sha256(f"order {seed} {text}".encode("utf-8", "surrogatepass")).digest()


def _limit_passages(source: Examples, limit: int | None) -> Examples:
    """Keep the passages that answer a query, and others evenly spaced, `limit` in all."""
    if limit is None or len(source.documents) <= limit:
        return source
    own = {document for query in source.queries for document in source.list_relevant(query)[:1]}
    others = [document for document in source.documents if document not in own]
    room = max(0, limit - len(own))
    kept = own | {others[place * len(others) // room] for place in range(min(room, len(others)))}
    documents = {i: text for i, text in source.documents.items() if i in kept}
    gold = {
        query: {i: grade for i, grade in grades.items() if i in kept} for query, grades in source.gold.items()
    }
    return Examples(source.queries, documents, gold)
