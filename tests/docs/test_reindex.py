"""The commands of docs/how-to/reindex.md: an index is rebuilt, an alias is moved, no vector is lost."""

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from tests.support.index_command import Command, lines
from tests.support.indices.write_checks import state
from tests.support.paths import ROOT, TINY_BUNDLE

pytestmark = pytest.mark.live

DOCUMENT = ROOT / "docs/how-to/reindex.md"
DOCUMENTS = {str(n): f"cordless drill number {n}" for n in range(30)}


@pytest.fixture
def prefix(client: OpenSearch) -> Iterator[str]:
    """Yield what stands for `products` in the document."""
    name = f"test-{uuid.uuid4().hex}"
    yield name
    client.indices.delete(index=f"{name}-*")


def run(step: str, opensearch_url: str, prefix: str) -> str:
    """Run one block of the document, as a shell would; return what it printed."""
    [block] = re.findall(rf"<!-- {step} -->\n```\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    command = f"twinrank() {{ '{sys.executable}' -m plugin \"$@\" --bundle '{TINY_BUNDLE}'; }}"
    script = "\n".join(["set -eu", command, re.sub(r"\bproducts\b", prefix, block)])
    environment = os.environ | {"OPENSEARCH": opensearch_url, "TWINRANK_UPSTREAM": opensearch_url}
    done = subprocess.run(
        ["sh", "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_strict_index_is_rebuilt_with_its_vectors(
    client: OpenSearch, opensearch_url: str, prefix: str
) -> None:
    old, new = f"{prefix}-v1", f"{prefix}-v2"
    command = Command(opensearch_url, old)
    assert command("enable", "--field", "title").returncode == 0
    command.load(lines(*({"_id": id_, "title": text, "price": 1.5} for id_, text in DOCUMENTS.items())))
    client.indices.put_alias(index=old, name=prefix)
    run("rebuild", opensearch_url, prefix)
    printed = run("copy", opensearch_url, prefix)
    assert '"failures":[]' in printed
    assert "30 current, 0 written (0 encoded)" in printed, "nothing was encoded again"
    found = state(client, new)
    assert (found.current, found.stale, found.missing) == (set(DOCUMENTS), set(), set())
    assert f"index: {new}" in run("swap", opensearch_url, prefix)
    assert list(client.indices.get_alias(name=prefix)) == [new]


def test_without_the_field_a_strict_index_refuses_every_document(
    client: OpenSearch, opensearch_url: str, prefix: str
) -> None:
    """What the document warns of."""
    old, new = f"{prefix}-v1", f"{prefix}-v2"
    command = Command(opensearch_url, old)
    assert command("enable", "--field", "title").returncode == 0
    command.load(lines({"_id": "1", "title": "cordless drill"}))
    strict = {"dynamic": "strict", "properties": {"title": {"type": "text"}}}
    client.indices.create(index=new, body={"mappings": strict})
    body = {"conflicts": "proceed", "source": {"index": old}, "dest": {"index": new}}
    answer = client.reindex(body=body, refresh=True, ignore=[400])
    assert "dynamic introduction of [rerank]" in str(answer["failures"])
