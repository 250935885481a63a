"""The afternoon of docs/admin.md, its commands as they stand there, with searches running all the while."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from plugin.proxy_process import ProxyProcess, running_proxy
from plugin.search_client import SearchClient
from tests.index_command import ROOT
from tests.raw_http import search
from tests.toy_collection import DOCUMENTS, QUERIES

pytestmark = pytest.mark.live
INDEX = "articles"
QUERY = {"query": {"match": {"text": "train a dog to be home alone"}}}


def blocks() -> dict[str, str]:
    """Return the named blocks of shell commands, in order."""
    text = (ROOT / "docs" / "admin.md").read_text()
    return dict(re.findall(r"<!-- (\w+) -->\n```sh\n(.*?)```", text, re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the commands run: the documents, judged queries, and a `twinrank` on the path."""
    documents = [{"_id": f"d{n}", "text": text} for n, text in enumerate(DOCUMENTS)]
    (tmp_path / "articles.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in documents))
    judged = [(f"{query}-{n}", *rest) for n in (0, 1) for query, rest in QUERIES.items()]
    queries = "".join(json.dumps({"_id": id_, "text": text}) + "\n" for id_, text, _ in judged)
    (tmp_path / "queries.jsonl").write_text(queries)
    rows = (f"{id_}\td{n}\t{grade}\n" for id_, _, grades in judged for n, grade in grades.items())
    (tmp_path / "qrels.tsv").write_text("".join(rows))
    command = tmp_path / "twinrank"
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m plugin "$@"\n')
    command.chmod(0o755)
    return tmp_path


@pytest.fixture
def live_index(client: OpenSearch) -> Iterator[None]:
    """Make an index that is in use already, without any of ours."""
    client.indices.create(index=INDEX, body={"settings": {"number_of_shards": 1}})
    actions = (
        {"_index": INDEX, "_id": f"d{n}", "_source": {"text": text}} for n, text in enumerate(DOCUMENTS)
    )
    helpers.bulk(client, actions, refresh=True)
    yield
    client.indices.delete(index=INDEX)


@contextmanager
def traffic(url: str) -> Iterator[list[tuple[int, str]]]:
    """Search all the while; yield what was answered: how many hits, and `Rerank-Status`."""
    answers: list[tuple[int, str]] = []
    ended = threading.Event()

    def run() -> None:
        with SearchClient(url) as client:
            while not ended.wait(0.02):
                answer = client.search(INDEX, QUERY)  # raises where a search fails, which ends the thread
                answers.append((len(answer.hits), answer.status))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield answers
        assert thread.is_alive(), "a search has failed"
    finally:
        ended.set()
        thread.join()


def commands(block: str, folder: Path, opensearch: str, proxy: str) -> str:
    """Run a block as it stands, but for the addresses, and return what it prints."""
    script = block.replace("http://127.0.0.1:9200", opensearch).replace("http://127.0.0.1:9100", proxy)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "TWINRANK_UPSTREAM": opensearch,
        "COLUMNS": "200",
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_afternoon(
    client: OpenSearch, opensearch_url: str, live_index: None, folder: Path, tmp_path: Path
) -> None:
    written = blocks()
    said: dict[str, str] = {}
    with running_proxy(opensearch_url, tmp_path) as proxy, traffic(proxy.url) as answers:

        def status() -> str:
            return search(proxy.url, INDEX, QUERY).rerank_status

        def do(name: str, then: str) -> None:
            said[name] = commands(written.pop(name), folder, opensearch_url, proxy.url)
            until(lambda: status().startswith(then), f"{then} after {name}", status)

        until(lambda: status() == "skipped; reason=not_enabled", "the beginning", status)
        before = workers(proxy)
        do("enable", "skipped; reason=coverage")
        do("index", "applied; window=")
        do("look", "applied")
        do("tune", "applied")
        do("break", "skipped; reason=settings")
        do("overwrite", "skipped; reason=settings")
        do("mend", "applied")
        do("disable", "skipped; reason=disabled")
        assert workers(proxy) == before, "a worker was restarted"
        assert not written, "blocks of the document that this test does not run"
    assert "field rerank.vector mapped" in said["enable"]
    assert "30 of 30 documents indexed" in said["index"]
    assert "fusion      log_linear" in said["look"]
    assert "12 judged queries" in said["tune"]
    assert "did you mean `source_fields`?" in said["break"]
    assert "exit status 1" in said["break"]
    assert "written whole without them" in said["overwrite"]
    assert "30 vectors removed, 0 left" in said["disable"]
    assert client.get(index=INDEX, id="d0")["_source"] == {"text": DOCUMENTS[0]}
    assert len(answers) > 50
    assert {hits for hits, _ in answers} == {answers[0][0]}, "some searches found other hits"


def workers(proxy: ProxyProcess) -> list[str]:
    pid = proxy.child.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def until(condition: Callable[[], bool], what: str, found: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline_s, f"expected {what}, found {found()}"
        time.sleep(0.1)
