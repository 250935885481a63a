"""An index prepared for the demo, an evaluation or a benchmark, as by `twinrank enable` and `index`."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from indexer.enricher import Enricher
from indexer.load.document_file import read_documents
from indexer.load.indexing import Events, Indexing
from indexer.load.summary import Rejection, Summary
from opensearch.client import OpenSearchClient, index_path
from opensearch.index import metadata
from opensearch.index.enable import EnableRequest, enable
from plugin.errors import CommandError
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle


class PreparationError(CommandError):
    """Not every document was indexed: says how many were not, and why the first was not."""


def prepare_index(
    server: str | Connecting,
    index: str,
    file: Path,
    source_fields: Sequence[str],
    *,
    bundle: Bundle,
    settings: Mapping[str, Any] | None = None,
    analyzer: str | None = None,
    progress: Callable[[Summary], None] = lambda summary: None,
) -> Summary:
    """Create the index if there is none, enable it, and index a file of JSON lines, plain or gzipped.

    Args:
        server: OpenSearch, by its URL or with all its options.
        index: its name; documents in it that have current vectors are not encoded again.
        file: the documents.
        source_fields: the fields that are encoded.
        bundle: the model.
        settings: further settings, in the form of `_meta.rerank`.
        analyzer: the analyzer of a new index's source fields; None: OpenSearch's default.
        progress: called after each batch.

    Raises:
        PreparationError: a document was rejected, or the run ended early.
        OpenSearchError, BundleError, InputError: as the parts raise them.
    """
    upstream = (Connecting(server) if isinstance(server, str) else server).client()
    try:
        if analyzer:
            _create_analyzed(upstream, index, source_fields, analyzer)
        wanted = EnableRequest(bundle.vectors_of, {**(settings or {}), "source_fields": list(source_fields)})
        enabled = enable(upstream, index, wanted)[0]
        encoder = bundle.load_document_encoder(threads=os.cpu_count() or 1)
        enricher = Enricher(encoder, bundle.model_tag, enabled.settings)
        return _index_file(upstream, enabled.index, enricher, file, progress)
    finally:
        upstream.close()


def _create_analyzed(upstream: OpenSearchClient, index: str, fields: Sequence[str], analyzer: str) -> None:
    """Create the index, if there is none, with an analyzer for its text fields."""
    if not metadata.find_indices(upstream, index):
        properties = {field: {"type": "text", "analyzer": analyzer} for field in fields}
        upstream.request("PUT", index_path(index), {"mappings": {"properties": properties}})


def _index_file(
    upstream: OpenSearchClient,
    index: str,
    enricher: Enricher,
    file: Path,
    progress: Callable[[Summary], None],
) -> Summary:
    rejections: list[Rejection] = []
    events = Events(rejected=rejections.append, progress=progress)
    with file.open("rb") as stream:
        summary = Indexing(upstream, index, enricher, events).run(read_documents(stream))
    return _check_summary(summary, rejections, file)


def _check_summary(summary: Summary, rejections: Sequence[Rejection], file: Path) -> Summary:
    if summary.stopped:
        raise PreparationError(f"{file}: only {summary.indexed} documents were indexed: {summary.stopped}")
    if rejections:
        first = rejections[0]
        raise PreparationError(
            f"{file}: {len(rejections)} of {summary.lines} lines were not indexed; the first one is line"
            f" {first.line}: {first.reason}"
        )
    return summary
