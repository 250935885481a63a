"""The indices of UBI, made by the command, and what reads their records."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch

from plugin.commands.main import main
from plugin.ubi.indices import EVENTS, QUERIES
from tests.support.waiting import until

Record = dict[str, Any]
ReadRecords = Callable[[list[str]], dict[str, list[Record]]]


def create_indices(url: str) -> str:
    """Run the command, and return what it prints."""
    done = CliRunner().invoke(main, ["ubi", "create", "--upstream", url])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def ubi_indices(client: OpenSearch, opensearch_url: str) -> Iterator[None]:
    """Create both indices, and delete them afterwards."""
    create_indices(opensearch_url)
    yield
    client.indices.delete(index=f"{QUERIES},{EVENTS}", ignore_unavailable=True)


@pytest.fixture
def read_records(client: OpenSearch, ubi_indices: None) -> ReadRecords:
    """Return what waits for the records of queries, and returns them by their `query_id`, oldest first."""

    def read(query_ids: list[str]) -> dict[str, list[Record]]:
        found: list[Record] = []

        def are_written() -> bool:
            client.indices.refresh(index=QUERIES)
            hits = client.search(
                index=QUERIES,
                body={"size": 10_000, "query": {"terms": {"query_id": query_ids}}, "sort": ["timestamp"]},
            )
            found[:] = [hit["_source"] for hit in hits["hits"]["hits"]]
            return {each["query_id"] for each in found} == set(query_ids)

        until(are_written, "the records of all queries")
        return {query_id: [each for each in found if each["query_id"] == query_id] for query_id in query_ids}

    return read
