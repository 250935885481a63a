"""The recipe of labels: one TOML file that decides which pairs a teacher scores."""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from model_export.data.collection import K1, B
from model_export.data.examples import Examples, read_query_texts, read_source, select_queries
from model_export.data.sources import Count, Section, Source, name_source
from model_export.data.split import CALIBRATION_SHARE, CALIBRATION_SOURCES, NEAR
from model_export.errors import TrainingError
from model_export.labelling.label_file import ExcludedQueries, LabelledSource
from reranker.bundle import Bundle

VERSION = 1
"""The version of the draw. It is part of a recipe's digest: raise it if the code draws other pairs."""

CANDIDATES = 16
"""How many candidates a query has."""


class RecipeSource(Source, frozen=True, kw_only=True):
    """A source of queries and passages.

    `checksum` is that of its content, by which a change is noticed. Of more than `max_passages` passages,
    those of the queries are kept, and others evenly spaced.
    """

    checksum: str | None = None
    max_passages: Count | None = None


class ExcludedCollection(Section, frozen=True):
    """A BEIR folder, none of whose queries, or near duplicates of them, is labelled.

    `checksum` is that of its queries.
    """

    path: str
    checksum: str | None = None


class Recipe(Section, frozen=True):
    """The whole file; relative paths in it are relative to the working folder.

    `bundle` draws candidates by its crossing; `bundle_digest` is what it was when the recipe was written.
    Passages are cut at `passage_tokens` tokens, special ones included.
    """

    bundle: str
    sources: Annotated[tuple[RecipeSource, ...], Meta(min_length=1)]
    bundle_digest: str | None = None
    exclude: tuple[ExcludedCollection, ...] = ()
    passage_tokens: Annotated[int, Meta(ge=8, le=512)] = 128
    seed: int = 1


def read_recipe(file: Path) -> Recipe:
    """Read a recipe.

    Raises:
        TrainingError: it cannot be read, is not TOML, or a key is missing, unknown or has a wrong value.
    """
    try:
        return msgspec.convert(tomllib.loads(file.read_text()), Recipe)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise TrainingError(f"expected a recipe of labels in {file}, found: {error}") from error


def read_sources(recipe: Recipe) -> tuple[list[Examples], tuple[LabelledSource, ...]]:
    """Read every source as examples, each text once, and say what they are.

    The ids of source number n begin with `n/`. A passage or query that occurs again in a source has the id of
    its first occurrence.

    Raises:
        TrainingError: a source is missing, malformed, or not the one that the recipe names.
    """
    found, named = [], []
    for number, source in enumerate(recipe.sources):
        content = read_source(source)
        checksum = hash_content(content)
        _check(source.checksum, checksum, f"the source {source.path}")
        named.append(LabelledSource(name_source(source.path), checksum, source.licence))
        found.append(_merge_equal_texts(select_queries(content, source, number)))
    return found, tuple(named)


def read_excluded(recipe: Recipe) -> tuple[list[str], tuple[ExcludedQueries, ...]]:
    """Read the queries of the excluded collections, and say which these are.

    Raises:
        TrainingError: one is missing, or not the one that the recipe names.
    """
    texts, named = [], []
    for each in recipe.exclude:
        queries = read_query_texts(Path(each.path))
        checksum = hash_texts(queries)
        _check(each.checksum, checksum, f"the queries of {each.path}")
        texts += queries
        named.append(ExcludedQueries(name_source(each.path), checksum))
    return texts, tuple(named)


def open_bundle(recipe: Recipe) -> Bundle:
    """Open the bundle that draws candidates.

    Raises:
        TrainingError: it is not the one that the recipe names, or does not read word pieces.
        BundleError: it cannot be opened.
    """
    bundle = Bundle.open(Path(recipe.bundle))
    _check(recipe.bundle_digest, hash_bundle(bundle), f"the bundle {recipe.bundle}")
    if bundle.manifest.input != "word_pieces":
        raise TrainingError(
            f"expected a bundle of word pieces in {recipe.bundle}, to cut passages, found one of"
            f" {bundle.manifest.input}"
        )
    return bundle


def hash_recipe(
    recipe: Recipe, sources: Iterable[LabelledSource], excluded: Iterable[ExcludedQueries] | None = None
) -> str:
    """Return the checksum of everything that decides which pairs are labelled, and how passages are cut.

    Places on the disk are not part of it. Without `excluded`, the recipe's own checksums of them are used.

    Raises:
        TrainingError: an excluded collection has no checksum, and cannot be read.
    """
    if excluded is None:
        pinned = [ExcludedQueries(name_source(each.path), each.checksum or "") for each in recipe.exclude]
        excluded = pinned if all(each.checksum for each in pinned) else read_excluded(recipe)[1]
    covered = {
        "version": VERSION,
        "candidates": CANDIDATES,
        "seed": recipe.seed,
        "passage_tokens": recipe.passage_tokens,
        "bundle": recipe.bundle_digest or hash_bundle(open_bundle(recipe)),
        "bm25": (K1, B),
        "near": NEAR,
        "calibration": (CALIBRATION_SOURCES, CALIBRATION_SHARE),
        "sources": [
            (found.name, found.checksum, msgspec.structs.replace(each, path="", licence="", checksum=None))
            for each, found in zip(recipe.sources, sources, strict=True)
        ],
        "excluded": [(each.name, each.checksum) for each in excluded],
    }
    return _hash_json(msgspec.to_builtins(covered))


def hash_bundle(bundle: Bundle) -> str:
    """Return the checksum of what decides a bundle's crossing scores: its towers, tokeniser and crossing."""
    manifest = bundle.manifest
    files = {name: digest for name, digest in manifest.checksums.items() if name != manifest.canonical}
    towers = (manifest.query, manifest.document, manifest.crossing)
    return _hash_json([manifest.document_digest, sorted(files.items()), msgspec.to_builtins(towers)])


def hash_content(content: Examples) -> str:
    """Return the checksum of a source's queries, documents and judgements, in their order."""
    return _hash_json([content.queries, content.documents, content.gold])


def hash_texts(texts: Iterable[str]) -> str:
    """Return the checksum of texts in their order."""
    return _hash_json(list(texts))


def _hash_json(content: object) -> str:
    # Not msgspec, which refuses the lone surrogates that JSON files may hold.
    return f"sha256:{hashlib.sha256(json.dumps(content).encode()).hexdigest()}"


def _check(expected: str | None, found: str, what: str) -> None:
    if expected is not None and found != expected:
        raise TrainingError(
            f"expected {what} with the checksum {expected}, found {found}: it is not the one that the recipe"
            " was written for. Get that one, or write the new checksum into the recipe and label again"
        )


def _merge_equal_texts(examples: Examples) -> Examples:
    queries, query_ids = _merge(examples.queries)
    documents, document_ids = _merge(examples.documents)
    gold: dict[str, dict[str, float]] = {query: {} for query in queries}
    for query, grades in examples.gold.items():
        kept = gold.get(query_ids.get(query, ""), {})
        for document, grade in grades.items():
            place = document_ids[document]
            kept[place] = max(grade, kept.get(place, 0.0))
    return Examples(queries, documents, gold)


def _merge(texts: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return each text under the first of its ids, and every id's first one; blank texts are left out."""
    first: dict[str, str] = {}
    ids = {i: first.setdefault(text, i) for i, text in texts.items()}
    return {i: text for text, i in first.items() if text.strip()}, ids
