"""The documents of an index as a corpus in BEIR layout, for training on what was clicked."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from indexer.document import text_of
from opensearch.client import OpenSearchClient, index_path
from plugin.clicks.judgement_files import OutputFolderError
from reranker.beir_files import CORPUS

BATCH = 500
"""So many documents are asked for in one request."""


def write_corpus(
    folder: Path, client: OpenSearchClient, index: str, fields: Sequence[str], documents: Iterable[str]
) -> Path:
    """Write the documents that are in the index with the text of their fields, and return the file.

    A document without text is left out.

    Raises:
        OutputFolderError: the file cannot be written.
        RequestError: OpenSearch cannot be asked.
    """
    file, remaining = folder / CORPUS, iter(documents)
    try:
        with file.open("w", encoding="utf-8") as stream:
            while batch := list(islice(remaining, BATCH)):
                for hit in _find(client, index, fields, batch):
                    text = text_of(hit.get("_source", {}), tuple(fields))
                    if text:
                        row = {"_id": hit["_id"], "title": "", "text": text}
                        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    except OSError as error:
        raise OutputFolderError(f"expected to write {file}, found: {error}") from error
    return file


def _find(
    client: OpenSearchClient, index: str, fields: Sequence[str], documents: Sequence[str]
) -> list[dict[str, Any]]:
    search = {"query": {"ids": {"values": documents}}, "size": len(documents), "_source": list(fields)}
    answer = client.request("POST", index_path(index, "_search"), search)
    hits: list[dict[str, Any]] = answer["hits"]["hits"]
    return hits
