"""A mapping that somebody broke: searches and writes go on as OpenSearch's own, and it is told everywhere."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from tests.support.http.raw_http import ask, ids
from tests.support.index_command import Command
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.settings.effect_bench import JSON_BODY, Bench
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
BROKEN: dict[str, tuple[Any, str]] = {
    "misspelt": ({"rerank": {"modle": "tiny", "source_fields": ["text"]}}, "did you mean `model`?"),
    "wrong type": ({"rerank": ["tiny"]}, "_meta.rerank: expected a JSON object, found ["),
    "out of range": (
        {"rerank": {"model": "tiny", "source_fields": ["text"], "window_size": 0}},
        "_meta.rerank.window_size: expected a whole number >= 1, found 0",
    ),
    "overwritten": ({"owner": "somebody"}, "`_meta` was written whole without them"),
}
"""What became of `_meta`, and words of what is told."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broken")


@pytest.fixture(scope="module")
def bench(client: OpenSearch, opensearch_url: str, folder: Path, toy_index: ToyIndex) -> Iterator[Bench]:
    """A proxy with a runtime folder of its own: one poller serves a host, and it is its log that tells."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TMPDIR", str(folder))
        with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE) as proxy:
            made = Bench(client, opensearch_url, proxy.url, toy_index)
            yield made
            made.clear()


@pytest.mark.parametrize("how", BROKEN)
def test_neither_searches_nor_writes_notice_and_everything_says_so(
    bench: Bench, folder: Path, how: str, is_long: bool
) -> None:
    """The short form runs the commands on one of them alone: each is a process of its own."""
    meta, words = BROKEN[how]
    index = bench.index()
    assert bench.status(index).startswith("applied")
    bench.client.indices.put_mapping(index=index, body={"_meta": meta})
    until(lambda: bench.status(index) == "skipped; reason=settings", "told")
    plain = [hit["_id"] for hit in bench.first_stage(index)]
    until(lambda: [ids(bench.answer(index)) for _ in range(6)] == [plain] * 6, "seen by every worker")
    check_writes(bench, index)
    until(lambda: words in _log_of(folder, index), "logged")
    metrics = ask(bench.proxy_url, "GET", "/_plugins/_rerank/metrics").body.decode()
    assert 'twinrank_searches_total{outcome="skipped",reason="settings"}' in metrics
    if is_long or how == "overwritten":
        check_commands(Command(bench.url, index), words)
    told = json.loads(ask(bench.proxy_url, "GET", f"/_plugins/_rerank/settings/{index}").body)[index]
    assert words in told["problems"][0]


def _log_of(folder: Path, index: str) -> str:
    lines = (folder / "proxy.log").read_text().splitlines()
    return "\n".join(line for line in lines if f"{index} is not reranked, reason=settings" in line)


def check_commands(command: Command, words: str) -> None:
    """`settings` says what is wrong; `status` does, or that there are no settings."""
    settings, status = command.run("settings"), command("status")
    assert (settings.returncode, status.returncode) == (1, 1)
    assert words in settings.stdout.decode()
    assert b"_meta.rerank" in status.stderr


def check_writes(bench: Bench, index: str) -> None:
    """Each kind of write is answered as OpenSearch does, and stores what was sent."""

    def send(method: str, path: str, body: bytes = b"") -> dict[str, Any]:
        answer = ask(bench.proxy_url, method, f"/{index}{path}", body, JSON_BODY)
        assert answer.status in (200, 201), answer.body
        found: dict[str, Any] = json.loads(answer.body)
        return found

    assert send("PUT", "/_doc/new", b'{"text":"read a file"}')["result"] == "created"
    assert send("POST", "/_update/new", b'{"doc":{"text":"wait"}}')["result"] == "updated"
    assert bench.client.get(index=index, id="new")["_source"] == {"text": "wait"}
    lines = b'{"index":{"_id":"more"}}\n{"text":"how"}\n{"delete":{"_id":"new"}}\n'
    assert not send("POST", "/_bulk?refresh=true", lines)["errors"]
    assert bench.client.get(index=index, id="more")["_source"] == {"text": "how"}
    assert not bench.client.exists(index=index, id="new")
    send("DELETE", "/_doc/more?refresh=true")
