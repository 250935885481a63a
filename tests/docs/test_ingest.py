"""The examples of docs/how-to/ingest.md, run as they stand there, against addresses of the test's own."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import state
from tests.support.paths import DOCS, TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

DOCUMENT = DOCS / "how-to/ingest.md"


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


def omelasticsearch() -> Path | None:
    """Return rsyslog's module for Elasticsearch, where it is installed."""
    return next(Path("/usr/lib").glob("**/rsyslog/omelasticsearch.so"), None)


@pytest.mark.skipif(
    shutil.which("rsyslogd") is None or omelasticsearch() is None,
    reason="no rsyslogd with omelasticsearch here: apt-get install rsyslog rsyslog-elasticsearch",
)
def test_rsyslog(client: OpenSearch, proxy_url: str, index_name: str, tmp_path: Path) -> None:
    """Lines of a log become documents with vectors, those too that come while it runs."""
    body = index_body(Bundle.open(TINY_BUNDLE))
    client.indices.create(index=index_name, body=body)
    log = tmp_path / "app.log"
    log.write_text('wait a bit\nread "a" file\n')
    [block] = re.findall(r"^### rsyslog\n.*?^```\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    places = {"/var/log/app.log": str(log), "9100": proxy_url.rpartition(":")[2], '"logs"': f'"{index_name}"'}
    for written, ours in places.items():
        assert written in block
        block = block.replace(written, ours)
    configuration = tmp_path / "rsyslog.conf"
    configuration.write_text(f'global(workDirectory="{tmp_path}")\n{block}')
    command = ["rsyslogd", "-n", "-f", str(configuration), "-i", str(tmp_path / "pid")]
    with (tmp_path / "rsyslogd.log").open("wb") as output:
        daemon = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        until_counted(client, index_name, 2)
        with log.open("a") as more:
            more.write("wait for another line\n")
        until_counted(client, index_name, 3)
    finally:
        daemon.terminate()
        daemon.wait(30)
    found = state(client, index_name)
    texts = sorted(document["text"] for document in found.documents.values())
    assert texts == ['read "a" file', "wait a bit", "wait for another line"]
    assert (len(found.current), found.stale, found.missing) == (3, set(), set())


def until_counted(client: OpenSearch, index: str, number: int) -> None:
    """Wait until an index holds so many documents."""
    deadline = time.monotonic() + 60
    found = -1
    while found != number:
        assert time.monotonic() < deadline, f"expected {number} documents, found {found}"
        time.sleep(0.2)
        client.indices.refresh(index=index)
        found = client.count(index=index)["count"]
