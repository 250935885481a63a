"""Indices and pipelines that a test makes for itself."""

import uuid
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.paths import TINY_BUNDLE


class MakeIndex(Protocol):
    """Makes an index with the tiny bundle's settings, and returns its name."""

    def __call__(self, mappings: dict[str, Any] | None = None, **settings: object) -> str:
        """Make it, with more mappings and index settings."""
        ...


class MakePipeline(Protocol):
    """Makes an ingest pipeline, and returns its name."""

    def __call__(self, *processors: dict[str, Any]) -> str:
        """Make it of these processors."""
        ...


@pytest.fixture
def make_index(client: OpenSearch) -> Iterator[MakeIndex]:
    """Yield what makes indices; they are removed afterwards."""
    made: list[str] = []

    def make(mappings: dict[str, Any] | None = None, **settings: object) -> str:
        name = f"test-{uuid.uuid4().hex}"
        body = index_body(Bundle.open(TINY_BUNDLE))
        body["mappings"] |= mappings or {}
        body["settings"] |= settings
        client.indices.create(index=name, body=body)
        made.append(name)
        return name

    yield make
    for name in made:
        client.indices.delete(index=name)


@pytest.fixture
def make_pipeline(client: OpenSearch) -> Iterator[MakePipeline]:
    """Yield what makes ingest pipelines; they are removed afterwards."""
    made: list[str] = []

    def make(*processors: dict[str, Any]) -> str:
        made.append(f"test-{uuid.uuid4().hex}")
        client.ingest.put_pipeline(id=made[-1], body={"processors": list(processors)})
        return made[-1]

    yield make
    for name in made:
        client.ingest.delete_pipeline(id=name)
