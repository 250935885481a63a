"""The OpenSearch that a benchmark measures on, and indices of docstrings in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opensearchpy import OpenSearch, helpers

from plugin.commands.local_server import find_home, make_local_server
from reranker.bundle import Bundle
from tests.support.indices.toy_index import CHUNKING, vector_member


@contextmanager
def opensearch_at(url: str | None) -> Iterator[str]:
    """Yield the URL, or that of a server that runs while the block does."""
    if url is not None:
        yield url
        return
    server = make_local_server(port=0, folder=find_home() / "benchmark")
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
