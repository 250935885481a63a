"""The tasks of docs/how-to/sync.md, run as they stand there: one a shard, together the whole index."""

import re
import subprocess
import sys

import pytest
from opensearchpy import OpenSearch, helpers

from tests.support.indices.write_checks import state
from tests.support.paths import DOCS, ROOT, TINY_BUNDLE
from tests.support.sync_run import make_index

pytestmark = pytest.mark.live

DOCUMENT = DOCS / "how-to/sync.md"


def test_a_task_a_shard_fills_the_whole_index(
    client: OpenSearch, opensearch_url: str, index_name: str
) -> None:
    make_index(client, index_name, shards=2)
    texts = {str(n): f"wait for {n}" for n in range(40)}
    helpers.bulk(client, ({"_index": index_name, "_id": key, "text": text} for key, text in texts.items()))
    [block] = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    command = f'"{sys.executable}", "-m", "plugin", "sync", "{index_name}", "--upstream", "{opensearch_url}"'
    places = {'"twinrank", "sync", "articles"': f'{command}, "--bundle", "{TINY_BUNDLE}"'}
    for written, ours in places.items():
        assert written in block
        block = block.replace(written, ours)
    subprocess.run([sys.executable, "-c", block], cwd=ROOT, check=True, timeout=300)
    found = state(client, index_name)
    assert (found.current, found.stale, found.missing) == (set(texts), set(), set())
