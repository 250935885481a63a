"""The OpenSearch that a benchmark measures on, and indices of docstrings in it."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from opensearchpy import OpenSearch, helpers

from plugin.commands.local_server import find_home, make_local_server
from plugin.demo.docstrings import Documented
from plugin.harness.prepared_index import prepare_index
from reranker.bundle import Bundle
from tests.support.indices.toy_index import CHUNKING, vector_member


@contextmanager
def opensearch_at(url: str | None, folder: str = "benchmark") -> Iterator[str]:
    """Yield the URL, or that of a server that runs while the block does, with its data in that folder."""
    if url is not None:
        yield url
        return
    server = make_local_server(port=0, folder=find_home() / folder)
    try:
        yield server.start()
    finally:
        server.stop()


def fill_indices(
    client: OpenSearch, bundle: Bundle, texts: Sequence[str], bodies: Mapping[str, dict[str, Any]]
) -> None:
    """Make each index of `bodies`, in place of one that exists, with all texts and their vectors."""
    vectors = bundle.load_document_encoder(threads=2)(texts, CHUNKING)
    sources = [
        {"text": text, **vector_member(bundle, text, vector)}
        for text, vector in zip(texts, vectors, strict=True)
    ]
    for name, body in bodies.items():
        client.indices.delete(index=name, ignore_unavailable=True)
        client.indices.create(index=name, body=body)
        actions = ({"_index": name, "_id": str(n), "_source": one} for n, one in enumerate(sources))
        helpers.bulk(client, actions, chunk_size=500)
        client.indices.forcemerge(index=name, max_num_segments=1)
        client.indices.refresh(index=name)


def index_docstrings(
    url: str,
    name: str,
    documents: Iterable[Documented],
    bundle: Bundle,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Make the index, if there is none, and index the documents with their vectors."""
    with tempfile.NamedTemporaryFile(prefix="twinrank-", suffix=".jsonl") as file:
        file.writelines(msgspec.json.encode(each) + b"\n" for each in documents)
        file.flush()
        prepare_index(url, name, Path(file.name), ("name", "text"), bundle=bundle, settings=settings)
