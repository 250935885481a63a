"""Bulks through the proxy that OpenSearch takes in part or not at all, and texts that are none."""

import json
import logging
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.settings.validation import parse_settings
from opensearch.writes.documents import DocumentKey
from opensearch.writes.target import WriteTarget
from plugin.commands.local_server import make_local_server
from plugin.encoding.model import Model
from plugin.harness.proxy_process import running_proxy
from plugin.upstream.client import Upstream
from plugin.writes.repairs import Recheck, Repairer
from reranker.bundle import Bundle
from tests.support.http.raw_http import RawAnswer
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import bulk, send, state, written
from tests.support.paths import TINY_BUNDLE
from tests.support.processes import children_of
from tests.support.waiting import until

pytestmark = pytest.mark.live

BUNDLE = Bundle.open(TINY_BUNDLE)


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    body = index_body(BUNDLE)
    body["mappings"]["properties"]["n"] = {"type": "integer"}
    client.indices.create(index=index_name, body=body)
    return index_name


def outcomes(answer: RawAnswer) -> list[tuple[int, str]]:
    """Return each item's status and what kind of error it is, empty for none."""
    assert answer.status == 200, answer.body[:500]
    items = [content for item in json.loads(answer.body)["items"] for content in item.values()]
    return [(item["status"], item.get("error", {}).get("type", "")) for item in items]


def test_a_disk_that_is_too_full_changes_nothing(client: OpenSearch, proxy_url: str, index: str) -> None:
    """The block that OpenSearch sets at the flood stage of the disk watermark."""
    send(proxy_url, "PUT", f"/{index}/_doc/1", {"text": "wait a bit"})
    client.indices.put_settings(index=index, body={"index.blocks.read_only_allow_delete": True})
    try:
        answer = bulk(
            proxy_url, f"/{index}/_bulk",
            {"index": {"_id": "2"}}, {"text": "read a file"},
            {"update": {"_id": "1"}}, {"doc": {"text": "new"}},
            {"update": {"_id": "1"}}, {"script": "ctx._source.text = 'new'"},
        )  # fmt: skip
        assert {status for status, _ in outcomes(answer)} <= {403, 429}, answer.body
        one = send(proxy_url, "POST", f"/{index}/_update/1", {"doc": {"text": "new"}})
        assert one.status in (403, 429), one.body
    finally:
        client.indices.put_settings(index=index, body={"index.blocks.read_only_allow_delete": None})
    found = state(client, index)
    assert found.documents == {"1": {"text": "wait a bit"}}
    assert found.current == {"1"}


def test_one_document_that_the_mapping_refuses_is_the_only_one(
    client: OpenSearch, proxy_url: str, index: str
) -> None:
    client.indices.put_mapping(index=index, body={"properties": {"text": {"type": "text"}}})
    answer = bulk(
        proxy_url, f"/{index}/_bulk",
        {"index": {"_id": "1"}}, {"text": "wait a bit", "n": 1},
        {"index": {"_id": "2"}}, {"text": "read a file", "n": "no number"},
        {"index": {"_id": "3"}}, {"text": {"an": "object"}},
        {"create": {"_id": "1"}}, {"text": "there already"},
        {"update": {"_id": "none"}}, {"doc": {"text": "of nothing"}},
        {"index": {"_index": "NoSuchName", "_id": "4"}}, {"text": "nowhere"},
        {"index": {"_id": "5"}}, {"text": "the last"},
    )  # fmt: skip
    refused = "mapper_parsing_exception"
    assert outcomes(answer) == [
        (201, ""), (400, refused), (400, refused), (409, "version_conflict_engine_exception"),
        (404, "document_missing_exception"), (400, "invalid_index_name_exception"), (201, ""),
    ]  # fmt: skip
    found = state(client, index)
    assert set(found.documents) == found.current == {"1", "5"}


def test_texts_that_are_none_and_odd_ones_in_one_bulk(client: OpenSearch, proxy_url: str, index: str) -> None:
    odd: dict[str, Any] = {
        "missing": {"n": 1}, "null": {"text": None}, "empty": {"text": ""}, "blank": {"text": " \n"},
        "list": {"text": ["wait", None, "", "a bit"]}, "lone": {"text": "wait \ud83d a bit"},
        "huge": {"text": "wait a bit " * 20_000},
    }  # fmt: skip
    lines = [line for key, source in odd.items() for line in ({"index": {"_id": key}}, source)]
    answer = bulk(proxy_url, f"/{index}/_bulk", *lines)
    assert {status for status, _ in outcomes(answer)} == {201}
    assert written(answer) == "documents=7; encoded=3; repaired=0; left=0"
    found = state(client, index)
    assert (found.current, found.stale, found.missing) == ({"list", "lone", "huge"}, set(), set())
    assert found.documents["huge"] == odd["huge"]


def test_a_pipeline_that_renames_the_text(client: OpenSearch, proxy_url: str, index: str) -> None:
    """What is stored counts: the text may come from another field, or go to one."""
    names = {"comes": ("body", "text"), "goes": ("text", "body")}
    for name, (before, after) in names.items():
        processor = {"rename": {"field": before, "target_field": after, "ignore_missing": True}}
        client.ingest.put_pipeline(id=f"text-{name}", body={"processors": [processor]})
    try:
        answer = bulk(
            proxy_url, f"/{index}/_bulk",
            {"index": {"_id": "1", "pipeline": "text-comes"}}, {"body": "wait a bit"},
            {"index": {"_id": "2", "pipeline": "text-goes"}}, {"text": "read a file"},
            {"index": {"_id": "3"}}, {"text": "as it is"},
        )  # fmt: skip
        assert {status for status, _ in outcomes(answer)} == {201}
    finally:
        for name in names:
            client.ingest.delete_pipeline(id=f"text-{name}")
    found = state(client, index)
    assert found.documents["1"] == {"text": "wait a bit"}
    assert found.documents["2"] == {"body": "read a file"}
    assert (found.current, found.stale, found.missing) == ({"1", "3"}, set(), set())


def test_a_fault_after_a_write_is_not_the_clients(
    client: OpenSearch, opensearch_url: str, index: str, tmp_path: Path
) -> None:
    """The document tower is lost before its first use, and only the pipeline's text needs it."""
    bundle = Bundle.open(shutil.copytree(TINY_BUNDLE, tmp_path / "tiny"))
    rename = {"rename": {"field": "body", "target_field": "text"}}
    client.ingest.put_pipeline(id="text-late", body={"processors": [rename]})
    try:
        with running_proxy(opensearch_url, tmp_path, bundle=bundle.path) as proxy:
            (bundle.path / bundle.manifest.document.file).unlink()
            answer = send(proxy.url, "POST", f"/{index}/_doc?pipeline=text-late", {"body": "wait a bit"})
    finally:
        client.ingest.delete_pipeline(id="text-late")
    assert answer.status == 201, answer.body
    assert written(answer) == "documents=1; encoded=0; repaired=0; left=1"
    found = state(client, index)
    assert list(found.documents.values()) == [{"text": "wait a bit"}]
    assert len(found.missing) == 1


def test_a_fault_in_the_background_is_logged(
    client: OpenSearch,
    opensearch_url: str,
    index: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client.index(index=index, id="1", body={"text": "wait a bit"}, params={"refresh": "true"})
    bundle = Bundle.open(shutil.copytree(TINY_BUNDLE, tmp_path / "tiny"))
    settings = parse_settings(index_body(BUNDLE)["mappings"]["_meta"]["rerank"])
    due = Recheck(DocumentKey(index, "1", None), WriteTarget(index, settings))
    with closing(Upstream(opensearch_url)) as upstream:
        repairer = Repairer(upstream, Model.load(bundle))
        (bundle.path / bundle.manifest.document.file).unlink()
        for number in (1, 2):  # after the first fault, the queue goes on
            assert repairer.repair_later((), [due]) == 0
            until(lambda number=number: len(tracebacks(caplog)) == number, "a traceback in the log")  # type: ignore[misc]
    for record in tracebacks(caplog):
        assert (record.name, record.levelname) == ("twinrank.writes", "ERROR")
        assert "could not be rechecked" in record.getMessage()


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]


def test_a_long_bulk_takes_a_bounded_amount_of_memory(
    client: OpenSearch, opensearch_url: str, index: str, tmp_path: Path
) -> None:
    assert grown_mb(opensearch_url, index, tmp_path, num_bytes=12_000_000) < GROWTH_MB


def test_a_bulk_of_the_longest_kind_takes_no_more(tmp_path: Path, is_long: bool) -> None:
    """On a server of its own: one of 512 MB refuses such a bulk with a 429, straight too."""
    if not is_long:
        pytest.skip("runs with pytest --long, as make test-all does")
    with tempfile.TemporaryDirectory(prefix="twinrank-test-") as folder:
        Path(folder).chmod(0o755)
        server = make_local_server(port=0, heap="2g", folder=Path(folder) / "server")
        url = server.start()
        try:
            with OpenSearch(url) as client:
                client.indices.create(index="long", body=index_body(BUNDLE))
                assert grown_mb(url, "long", tmp_path, num_bytes=95_000_000) < GROWTH_MB
        finally:
            server.stop()


SMALL = {"http.max_content_length": "400kb", "indexing_pressure.memory.limit": "2mb"}
"""A server that refuses long requests with a 413, and too many at once with a 429."""


def test_a_server_that_takes_little(tmp_path: Path, is_long: bool) -> None:
    """A bulk that only our vectors make too long for it, and more bulks at once than it takes."""
    if not is_long:
        pytest.skip("runs with pytest --long, as make test-all does")
    with tempfile.TemporaryDirectory(prefix="twinrank-test-") as folder:
        Path(folder).chmod(0o755)
        server = replace(make_local_server(port=0, folder=Path(folder) / "server"), settings=SMALL)
        url = server.start()
        try:
            with OpenSearch(url) as client, running_proxy(url, tmp_path, bundle=TINY_BUNDLE) as proxy:
                client.indices.create(index="grows", body=index_body(BUNDLE))
                assert_it_fits(client, proxy.url)
                client.indices.create(index="storm", body=index_body(BUNDLE))
                assert_nothing_refused_is_stored(client, proxy.url)
        finally:
            server.stop()


def assert_it_fits(client: OpenSearch, url: str) -> None:
    """Send 300 KB of short documents, which are more than 400 KB with their vectors."""
    lines = [
        line
        for number in range(5_500)
        for line in ({"index": {"_id": str(number)}}, {"text": f"wait {number} times"})
    ]
    answer = bulk(url, "/grows/_bulk", *lines)
    assert {status for status, _ in outcomes(answer)} == {201}, answer.body[:300]
    assert written(answer).startswith("documents=5500; encoded=5500; "), written(answer)
    found = state(client, "grows")
    assert (len(found.documents), found.stale) == (5_500, set())
    assert found.current  # those whose vectors had no room wait for the writes after, and for sync
    longer = bulk(url, "/grows/_bulk", *lines, *lines)
    assert longer.status == 413, longer.body[:300]


def assert_nothing_refused_is_stored(client: OpenSearch, url: str) -> None:
    """Send 200 bulks of 270 KB from 32 clients: what is acknowledged is stored, and nothing else."""

    def sent(number: int) -> list[str]:
        text = "wait a bit " * 2_000  # the same in each: nobody waits for the encoder
        lines = [
            line
            for part in range(12)
            for line in ({"index": {"_id": f"{number}-{part}"}}, {"text": f"{part} {text}"})
        ]
        answer = bulk(url, "/storm/_bulk", *lines)
        if answer.status == 429:
            return []
        items = [item["index"] for item in json.loads(answer.body)["items"]]
        assert {item["status"] for item in items} <= {201, 429}, answer.body[:300]
        return [item["_id"] for item in items if item["status"] == 201]

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(sent, range(200)))
    stored = {key for keys in answers for key in keys}
    assert len(stored) < 200 * 12, "nothing was refused: this is no storm"
    found = state(client, "storm")
    assert set(found.documents) == stored
    assert found.stale == set()


def grown_mb(url: str, index: str, folder: Path, *, num_bytes: int) -> float:
    """Send one bulk of so many bytes, and return by how much the worker's largest resident size grew."""
    text = "wait a bit and read the file " * 150
    count = num_bytes // len(text)
    lines = b"".join(
        json.dumps(line).encode() + b"\n"
        for number in range(count)
        for line in ({"index": {"_id": str(number)}}, {"text": f"{number % 50} {text}"})
    )
    with running_proxy(url, folder, bundle=TINY_BUNDLE, arguments=["--workers", "1"]) as proxy:
        bulk(proxy.url, f"/{index}/_bulk", {"index": {"_id": "first"}}, {"text": text})
        [worker] = children_of(proxy.child.pid)
        before = peak_mb(worker)
        answer = bulk(proxy.url, f"/{index}/_bulk", lines)
        grown = peak_mb(worker) - before
    assert written(answer).startswith(f"documents={count}; encoded=50; "), answer.body[:500]
    assert {status for status, _ in outcomes(answer)} == {201}
    print(f"{len(lines) / 1e6:.0f} MB in one bulk: the worker's memory grew by {grown:.0f} MB")  # noqa: T201
    return grown


GROWTH_MB = 64
"""What batches on their way, both ways, and their texts may take."""


def peak_mb(pid: int) -> float:
    """Return a process's largest resident size so far."""
    [size] = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(size) / 1024
