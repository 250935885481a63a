"""The commands of docs/tutorials/your-own-traffic.md, with simulated users between them."""

import csv
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port
from tests.support.docs_commands import DocsShell, command_blocks, put_twinrank_on_path, served
from tests.support.http.raw_http import RawAnswer, search
from tests.support.running_experiment import await_experiment
from tests.support.waiting import until

pytestmark = pytest.mark.live
INDEX = "articles"
BEFORE, PAGE = "tutorials/existing-index.md", "tutorials/your-own-traffic.md"
NO_ONES_QUERY = {"match": {"text": "film"}}
SEARCHES = 2
"""Of each user."""


@pytest.fixture
def shell(client: OpenSearch, opensearch_url: str, tmp_path: Path) -> Iterator[DocsShell]:
    put_twinrank_on_path(tmp_path)
    addresses = {"http://127.0.0.1:9200": opensearch_url, "127.0.0.1:9100": f"127.0.0.1:{free_port()}"}
    yield DocsShell(tmp_path, opensearch_url, addresses)
    client.indices.delete(index=f"{INDEX},ubi_queries,ubi_events", ignore_unavailable=True)


class Users:
    """People who know what they want: each asks some of the judged questions and clicks the right article."""

    def __init__(self, client: OpenSearch, url: str, folder: Path) -> None:
        self._client, self._url = client, url
        self._random = random.Random(7)
        self._right = {row["query_id"]: row["doc_id"] for row in _rows(folder / "judgments.csv")}
        self._texts = {row["query_id"]: row["query"] for row in _rows(folder / "queries.csv")}

    def visit(self, wave: str, users: int) -> None:
        """Search and click, so many of them; returns when everything is recorded."""
        before = self._recorded()
        for user in range(users):
            for number, query in enumerate(self._random.sample(sorted(self._texts), SEARCHES)):
                self._search(f"{wave}-user-{user}", f"{wave}-{user}-{number}", query)
        until(lambda: self._recorded() == before + users * SEARCHES)

    def _search(self, client_id: str, query_id: str, query: str) -> None:
        text = self._texts[query]
        answer = search(
            self._url, INDEX,
            {
                "query": {"match": {"text": text}},
                "ext": {"ubi": {"client_id": client_id, "query_id": query_id, "user_query": text}},
            },
        )  # fmt: skip
        assert answer.status == 200, answer.body
        shown = _ids(answer)
        if self._right[query] in shown and self._random.random() < 0.9:
            self._click(client_id, query_id, self._right[query], shown)
        elif self._random.random() < 0.2 and shown:
            self._click(client_id, query_id, self._random.choice(shown), shown)

    def _click(self, client_id: str, query_id: str, clicked: str, shown: list[str]) -> None:
        position = {"ordinal": shown.index(clicked) + 1}
        event = {
            "action_name": "click",
            "query_id": query_id,
            "client_id": client_id,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event_attributes": {"object": {"object_id": clicked}, "position": position},
        }
        self._client.index(index="ubi_events", body=event)

    def _recorded(self) -> int:
        self._client.indices.refresh(index="ubi_queries,ubi_events")
        return int(self._client.count(index="ubi_queries")["count"])


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open() as lines:
        return list(csv.DictReader(lines))


def _ids(answer: RawAnswer) -> list[str]:
    return [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]


def test_an_engineers_day(shell: DocsShell, client: OpenSearch) -> None:
    before, blocks = command_blocks(BEFORE), command_blocks(PAGE)
    for name in ("given", "enable", "sync"):
        shell.run(before[name])
    shell.run(blocks.pop("judged"))
    with served(shell, before["serve"]):
        url = shell.command("http://127.0.0.1:9100")
        users = Users(client, url, shell.folder)

        shell.run(blocks.pop("shadow"))
        await_experiment(url, INDEX, NO_ONES_QUERY, runs=True)
        users.visit("shadow", 50)
        assert "gentle" in shell.run(blocks.pop("compared"))
        shell.run(blocks.pop("unshadow"))

        evaluated = shell.run(blocks.pop("evaluate"))
        assert "nDCG@10" in evaluated
        assert "<html" in (shell.folder / "report.html").read_text()

        shell.run(blocks.pop("interleave"))
        await_experiment(url, INDEX, NO_ONES_QUERY, runs=True)
        users.visit("interleave", 400)
        report = shell.run(blocks.pop("report"))
        assert "reranked wins: +" in report, report
        shell.run(blocks.pop("stop"))

        shell.run(blocks.pop("baseline"))
        shell.run(blocks.pop("gate"))
        shell.run(blocks.pop("regression"))
        failed = shell.run(blocks.pop("fails"))
        assert "exit status 3" in failed, failed
        assert "failure" in (shell.folder / "gate.xml").read_text()
    assert not blocks, "blocks of the page that this test does not run"
