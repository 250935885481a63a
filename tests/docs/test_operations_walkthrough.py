"""The commands of docs/tutorials/operations-walkthrough.md, run as they are written, while searches run."""

import json
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opensearchpy import OpenSearch, helpers

from plugin.harness.proxy_process import free_port, running_proxy
from plugin.upstream.search_client import SearchClient
from tests.support.docs_commands import command_blocks, put_twinrank_on_path
from tests.support.http.raw_http import ask, search
from tests.support.indices.toy_collection import DOCUMENTS, QUERIES
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
PAGE = "tutorials/operations-walkthrough.md"
INDEX = "articles"
QUERY = {"query": {"match": {"text": "train a dog to be home alone"}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return where the commands run: judged queries, and a `twinrank` on the path."""
    judged = [(f"{query}-{n}", *rest) for n in (0, 1) for query, rest in QUERIES.items()]
    queries = "".join(json.dumps({"_id": id_, "text": text}) + "\n" for id_, text, _ in judged)
    (tmp_path / "queries.jsonl").write_text(queries)
    rows = (f"{id_}\td{n}\t{grade}\n" for id_, _, grades in judged for n, grade in grades.items())
    (tmp_path / "qrels.tsv").write_text("".join(rows))
    put_twinrank_on_path(tmp_path)
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


@dataclass
class Traffic:
    """Applications behind a load balancer: they search all the while, through the proxy at `url`.

    `answers` holds of each search how many hits it had, and its `Rerank-Status`.
    """

    url: str
    answers: list[tuple[int, str]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def last(self) -> str:
        """The latest `Rerank-Status`."""
        return self.answers[-1][1] if self.answers else "none"

    def run(self) -> None:
        """Search until ended; a search that fails raises, which ends the thread."""
        while not self.ended.is_set():
            url = self.url
            with SearchClient(url) as client:
                while url == self.url and not self.ended.wait(0.02):
                    answer = client.search(INDEX, QUERY)
                    self.answers.append((len(answer.hits), answer.status))


@contextmanager
def traffic(url: str) -> Iterator[Traffic]:
    """Let applications search for as long as the block lasts, and see that no search has failed."""
    applications = Traffic(url)
    thread = threading.Thread(target=applications.run, daemon=True)
    thread.start()
    try:
        yield applications
        assert thread.is_alive(), "a search has failed"
    finally:
        applications.ended.set()
        thread.join()


@dataclass
class Afternoon:
    """The document's blocks, where they run, and what each of them said."""

    folder: Path
    opensearch: str
    applications: Traffic
    written: dict[str, str]
    said: dict[str, str] = field(default_factory=dict)

    def do(self, name: str, then: str) -> None:
        """Run a block as it stands, but for the addresses, and wait for what it brings about."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.block(name)],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
        self.said[name] = done.stdout + done.stderr
        until(lambda: then in self.status(), f"{then} after {name}", self.status)

    def block(self, name: str) -> str:
        """Return a block, and note that it was run."""
        proxy = self.applications.url
        block = self.written.pop(name).replace("http://127.0.0.1:9200", self.opensearch)
        return re.sub(r"http://127\.0\.0\.1:910[01]", proxy, block)

    @property
    def environment(self) -> dict[str, str]:
        """Where commands find `twinrank` and OpenSearch."""
        path = f"{self.folder}:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "TWINRANK_UPSTREAM": self.opensearch, "COLUMNS": "200"}

    def status(self) -> str:
        """Return what becomes of a search."""
        return search(self.applications.url, INDEX, QUERY).rerank_status

    @contextmanager
    def other_proxy(self) -> Iterator[subprocess.Popen[bytes]]:
        """Start the proxy of the block `switch`, and let the applications search through it."""
        port = free_port()
        command = self.block("switch").replace("127.0.0.1:9101", f"127.0.0.1:{port}").strip()
        arguments = shlex.split(command)
        child = subprocess.Popen(arguments, cwd=self.folder, env=self.environment, start_new_session=True)
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: _is_up(url), "the other proxy", lambda: f"exit status {child.poll()}")
            self.applications.url = url
            yield child
        finally:
            child.terminate()
            child.wait(60)


def _is_up(url: str) -> bool:
    try:
        return ask(url, "GET", "/_plugins/_rerank/health").status == 200
    except OSError:
        return False


def test_the_afternoon(
    client: OpenSearch, opensearch_url: str, live_index: None, folder: Path, tmp_path: Path
) -> None:
    with ExitStack() as old, running_proxy(opensearch_url, tmp_path) as proxy, traffic(proxy.url) as searches:
        day = Afternoon(
            folder, opensearch_url, searches, command_blocks("tutorials/operations-walkthrough.md")
        )
        until(lambda: day.status() == "skipped; reason=not_enabled", "the beginning", day.status)
        before = workers(proxy.child.pid)
        day.do("enable", "skipped; reason=coverage")
        day.do("sync", "applied; window=")
        day.do("look", "applied")
        day.do("tune", "applied")
        day.do("break", "skipped; reason=settings")
        day.do("overwrite", "skipped; reason=settings")
        day.do("mend", "applied")
        assert workers(proxy.child.pid) == before, "a worker was restarted"
        other = old.enter_context(day.other_proxy())
        until(lambda: "model=bge-small-en-v1.5-fast" in searches.last, "traffic moved", lambda: searches.last)
        proxy.child.terminate()
        proxy.child.wait(60)
        day.do("switched", "applied; window=")
        before = workers(other.pid)
        day.do("disable", "skipped; reason=disabled")
        assert workers(other.pid) == before, "a worker was restarted"
    check(day)
    assert client.get(index=INDEX, id="d0")["_source"] == {"text": DOCUMENTS[0]}


def check(day: Afternoon) -> None:
    """See that each block said what the document promises, and that no search was worse than OpenSearch's."""
    assert not day.written, "blocks of the document that this test does not run"
    said, answers = day.said, day.applications.answers
    for name, words in {
        "enable": "field rerank.vector mapped",
        "sync": "30 written (30 encoded)",
        "look": "fusion      log_linear",
        "tune": "12 judged queries",
        "break": "did you mean `source_fields`?",
        "overwrite": "written whole without them",
        "switched": "Nothing: every document has a vector",
        "disable": "30 vectors removed, 0 left",
    }.items():
        assert words in said[name], said[name]
    assert "exit status 1" in said["break"]
    assert len(answers) > 50
    assert {hits for hits, _ in answers} == {answers[0][0]}, "some searches found other hits"
    from_model = [re.search(r"model=(\S+);", status) for _, status in answers]
    names = [found[1] for found in from_model if found]
    assert list(dict.fromkeys(names)) == ["bge-small-en-v1.5", "bge-small-en-v1.5-fast"]
    assert all("reason=model" not in status for _, status in answers), "the bundles did not serve alike"


def workers(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
