"""`twinrank enable --vectors-from`: settings for vectors that an index has already."""

from collections.abc import Sequence
from typing import Any

import click

from indexer.vector_comparison import MIN_COSINE, compare_vectors
from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index import metadata
from opensearch.index.existing_vectors import ExistingField, find_existing_field
from opensearch.index.ingest_pipelines import find_embedded_field
from opensearch.index.metadata import Index
from opensearch.index.source_fields import propose_fields
from opensearch.settings.table import META_KEY, SettingsError
from reranker.bundle import Bundle
from reranker.text import Chunking

READ_FROM = {"source": "`_source`", "doc_values": "doc values"}


def choose_existing_vectors(
    upstream: OpenSearchClient, name: str, field: str, source_fields: Sequence[str], bundle: Bundle
) -> dict[str, Any]:
    """Return the settings for the vectors in a field of every index behind a name, and print what they are.

    Args:
        upstream: the OpenSearch.
        name: an index, alias or pattern.
        field: a `knn_vector` or `semantic` field.
        source_fields: the fields whose text the vectors are of; none: what the index itself says.
        bundle: the model that the vectors must be of.

    Raises:
        IndexMissingError: there is no such index.
        MappingError: the field's vectors cannot be read.
        SettingsError: they are not the bundle's, or their text is not known.
        RequestError: OpenSearch cannot be asked.
    """
    found = metadata.find_indices(upstream, name)
    if not found:
        raise IndexMissingError(f"no index {name!r}: --vectors-from reads vectors that are there already")
    chosen = [_choose(upstream, index, field, source_fields, bundle) for index in found]
    if any(each != chosen[0] for each in chosen):
        raise SettingsError(
            f"{name}: expected the same field and text in all its indices, found {chosen}. Enable them one by"
            " one"
        )
    return chosen[0]


def _choose(
    upstream: OpenSearchClient, index: Index, name: str, source_fields: Sequence[str], bundle: Bundle
) -> dict[str, Any]:
    existing = find_existing_field(index, name)
    dim = bundle.manifest.dim
    if existing.dim not in (None, dim):
        raise SettingsError(
            f"{index.name}: expected vectors of {dim} numbers, as {bundle.name} makes, found {existing.dim}"
            f" in {existing.name}. Give the bundle of their model with --bundle: docs/how-to/own-model.md"
        )
    fields = list(source_fields) or _find_source_fields(upstream, index, existing)
    longest = Chunking(bundle.manifest.document.max_tokens, 0, 1)
    compared = compare_vectors(
        upstream, index.name, existing.name, fields, bundle.load_document_encoder(threads=1), longest
    )
    text = f"those that {bundle.name} makes of the text in {', '.join(fields)}"
    if compared.median < MIN_COSINE:
        raise SettingsError(
            f"{index.name}: expected vectors in {existing.name} with a median cosine of at least {MIN_COSINE}"
            f" to {text}, found {compared.describe()}. They are of another model, another text, or were"
            " pooled otherwise. Nothing was changed. Give --field with the text, or --bundle with their"
            " model: docs/how-to/own-model.md"
        )
    click.echo(
        f"{index.name}: {existing.name} is read from {READ_FROM[compared.vectors]}, compared with {text}:"
        f" {compared.describe()}"
    )
    return {"field": existing.name, "vectors": compared.vectors, "source_fields": fields}


def _find_source_fields(upstream: OpenSearchClient, index: Index, existing: ExistingField) -> list[str]:
    """Return the fields whose text the vectors are of, as far as the index says it."""
    text = existing.text_field or find_embedded_field(upstream, index, existing.name)
    if text is not None:
        return [text]
    if META_KEY in index.meta:
        return list(index.rerank_settings().source_fields)
    raise SettingsError(
        f"{index.name}: expected the fields whose text the vectors in {existing.name} are of, found no"
        f" `semantic` field or pipeline that names them. Give --field FIELD.{propose_fields(index)}"
    )
