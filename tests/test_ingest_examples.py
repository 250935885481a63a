"""The examples of docs/ingest.md, run as they stand there, against addresses of the test's own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from tests.conftest import TINY_BUNDLE
from tests.toy_index import index_body
from tests.write_checks import state

pytestmark = pytest.mark.live

DOCUMENT = Path(__file__).parent.parent / "docs" / "ingest.md"


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    body = index_body(Bundle.open(TINY_BUNDLE), source_fields=["title", "text"])
    client.indices.create(index=index_name, body=body)
    return index_name


def example(language: str, index: str, opensearch_url: str, proxy_url: str) -> str:
    """Return the one block of a language, with this test's index and addresses."""
    [block] = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    places = {"http://127.0.0.1:9100": proxy_url, "http://127.0.0.1:9200": opensearch_url, "articles": index}
    for written, ours in places.items():
        assert written in block or language == "python"
        block = block.replace(written, ours)
    return str(block)


def test_opensearch_pys_helpers(client: OpenSearch, opensearch_url: str, proxy_url: str, index: str) -> None:
    code = example("python", index, opensearch_url, proxy_url)
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=120)
    found = state(client, index)
    assert found.documents["2"] == {"title": "How to hurry", "text": "Do it now."}
    assert found.current == {"1", "2"}


def test_curl_and_enrich(
    client: OpenSearch, opensearch_url: str, proxy_url: str, index: str, tmp_path: Path
) -> None:
    script = example("sh", index, opensearch_url, proxy_url)
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = state(client, index)
    assert sorted(document["text"] for document in found.documents.values()) == ["Sit down.", "Stand up."]
    assert (len(found.current), found.stale, found.missing) == (2, set(), set())
