"""The commands of docs/tutorials/existing-index.md, run as they are written."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port
from tests.support.docs_commands import DocsShell, command_blocks, put_twinrank_on_path, served

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
INDEX = "articles"
PAGE = "tutorials/existing-index.md"


@pytest.fixture
def shell(client: OpenSearch, opensearch_url: str, tmp_path: Path) -> Iterator[DocsShell]:
    """Yield a shell whose addresses are those of this test; the index is deleted afterwards."""
    put_twinrank_on_path(tmp_path)
    addresses = {"http://127.0.0.1:9200": opensearch_url, "127.0.0.1:9100": f"127.0.0.1:{free_port()}"}
    yield DocsShell(tmp_path, opensearch_url, addresses)
    client.indices.delete(index=INDEX, ignore_unavailable=True)


def places(table: str) -> tuple[list[str], list[str]]:
    """Return the titles of both columns of `twinrank search`, best first."""
    rows = re.findall(r"^ *\d+ +(\S.*?) {2,}(\S.*?) {2,}\S+ *$", table, re.MULTILINE)
    return [left for left, _ in rows], [right for _, right in rows]


def sources(client: OpenSearch) -> dict[str, object]:
    """Return `_id` -> `_source` of every document."""
    return {hit["_id"]: hit["_source"] for hit in client.search(index=INDEX)["hits"]["hits"]}


def test_the_tutorial(shell: DocsShell, client: OpenSearch) -> None:
    blocks = command_blocks(PAGE)
    shell.run(blocks.pop("given"))
    before = sources(client)
    assert "would be changed" in shell.run(blocks.pop("look"))
    assert "10 documents" in shell.run(blocks.pop("enable"))
    assert "10 written (10 encoded)" in shell.run(blocks.pop("sync"))
    with served(shell, blocks.pop("serve")):
        table = shell.run(blocks.pop("search"))
        assert "applied; window=" in table
        straight, reranked = places(table)
        assert (straight[0], reranked[0]) == ("Two devices", "Watch without a connection"), table
        assert "Watch without a connection" in shell.run(blocks.pop("explain"))
        assert "applied" in shell.run(blocks.pop("header"))
    assert "10 vectors removed, 0 left" in shell.run(blocks.pop("undo"))
    client.indices.refresh(index=INDEX)
    assert sources(client) == before
    assert not blocks, "blocks of the page that this test does not run"
