"""`twinrank enable`, `index` and `status` on a real OpenSearch, with a real model: also with bad input."""

import base64
import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import free_port
from reranker.bundle import Bundle
from reranker.stored_vector import unpack
from tests.support.http.raw_http import ask
from tests.support.index_command import Command, lines, numbered
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@pytest.fixture
def command(opensearch_url: str, index_name: str) -> Command:
    return Command(opensearch_url, index_name).enabled()


def source_of(client: OpenSearch, index: str, document_id: str) -> dict[str, Any]:
    source: dict[str, Any] = client.get(index=index, id=document_id)["_source"]
    return source


def test_a_file_becomes_searchable_with_vectors(command: Command, client: OpenSearch, tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl.gz"
    file.write_bytes(gzip.compress(numbered(300)))
    done = command("index", str(file))
    assert done.returncode == 0
    assert b"300 of 300 documents indexed" in done.stdout
    assert b"encoded=300 reused=0" in done.stdout
    assert done.stderr == b""
    assert (
        client.count(index=command.index, body={"query": {"exists": {"field": "rerank.vector"}}})["count"]
        == 300
    )
    vector = unpack(
        base64.b64decode(source_of(client, command.index, "7")["rerank"]["vector"], validate=True)
    )
    assert vector.model_tag == Bundle.open(TINY_BUNDLE).model_tag


def test_a_second_run_encodes_only_what_changed(command: Command) -> None:
    assert command.load(numbered(10))["encoded"] == 10
    again = command.load(gzip.compress(numbered(10)))
    assert (again["encoded"], again["reused"], again["indexed"]) == (0, 10, 10)
    other = command.load(numbered(10, n=1) + lines({"_id": "3", "title": "new"}))
    assert (other["encoded"], other["reused"]) == (1, 10)
    command("enable", "--field", "title", "--field", "more")
    assert command.load(numbered(10, more="x"))["encoded"] == 10


def test_a_second_run_writes_only_what_changed(command: Command, client: OpenSearch) -> None:
    documents = numbered(10) + lines({"_id": "none", "n": 1.10}, {"title": "without id"})
    assert command.load(documents)["unchanged"] == 0
    again = command.load(documents)
    assert (again["indexed"], again["unchanged"]) == (12, 11)
    assert client.get(index=command.index, id="7")["_version"] == 1
    changed = lines(
        {"_id": "7", "title": "title 7", "n": 1}, {"_id": "8", "title": "title 8", "n": 2},
        {"_id": "9", "title": "first"}, {"_id": "9", "title": "title 9"}, {"_id": "none", "n": 1.1},
    )  # fmt: skip
    assert command.load(changed)["unchanged"] == 1
    assert source_of(client, command.index, "9")["title"] == "title 9"
    assert source_of(client, command.index, "8")["n"] == 2
    twice = command.load(b'{"_id":"7","title":"x","n":1,"title":"title 7"}\n')
    assert (twice["rejected"], twice["unchanged"]) == (1, 0)


def test_documents_without_id_are_added_each_time(command: Command, client: OpenSearch) -> None:
    done = command("index", "-", data=lines({"title": "a"}, {"title": "b", "_id": None}))
    assert b"2 documents had no _id" in done.stdout
    assert command.load(lines({"title": "a"}))["without_id"] == 1
    assert client.count(index=command.index)["count"] == 3


def test_the_users_bytes_stay_as_they_are(command: Command) -> None:
    written = '"n": 1.10,  "e":"\\u00e9 \\ud800 😀" , "title": [ "a" ]'
    command.load(f'{{"_id": "1", {written}}}\n'.encode())
    stored = ask(command.url, "GET", f"/{command.index}/_doc/1").body
    assert f'"_source":{{{written},"rerank":{{"vector":"'.encode() in stored


def test_bad_lines_are_told_and_the_rest_goes_on(
    command: Command, client: OpenSearch, tmp_path: Path
) -> None:
    bad = {
        2: (b'{"_id": "2", "title": ', "expected a JSON object"),
        4: (b"[1, 2]", "expected a JSON object"),
        5: (b'{"_id": "5", "title": "\xff"}', "expected UTF-8"),
        6: (b'{"_id": "6", "title": "a", "title": "b"}', "Duplicate Object property"),
        7: (b'{"_id": "7", "title": {"an": "object"}}', "OpenSearch: 400"),
        8: (b'{"_id": "8", "title": "x", "rerank": "taken"}', "expected an object at 'rerank'"),
        9: (b'{"_id": "%s", "title": "x"}' % (b"i" * 600), "1 to 512 bytes"),
        10: (b'{"_id": "10", "title": "x", "_source": {}}', "metadata field"),
    }
    good = {number: b'{"_id": "%d", "title": "good"}' % number for number in (1, 3, 11)}
    by_number = {number: line for number, (line, _) in bad.items()} | good
    rejects = tmp_path / "rejects.jsonl"
    data = b"\n".join(by_number[number] for number in sorted(by_number))
    done = command("index", "-", "--rejects", str(rejects), data=data)
    assert done.returncode == 1
    assert b"3 of 11 documents indexed" in done.stdout
    assert b"8 lines rejected" in done.stdout
    kept = {one["line"]: one for one in map(json.loads, rejects.read_text().splitlines())}
    assert sorted(kept) == sorted(bad)
    for number, (line, reason) in bad.items():
        assert reason in kept[number]["reason"]
        assert kept[number]["raw"].encode("utf-8", "surrogateescape") == line
        assert f"line {number}: ".encode() in done.stderr
    assert client.count(index=command.index)["count"] == 3


def test_no_text_no_vector_but_indexed(command: Command, client: OpenSearch) -> None:
    report = command.load(
        lines({"_id": "1", "other": "x"}, {"_id": "2", "title": "", "text": None}, {"_id": "3"})
    )
    assert (report["indexed"], report["without_text"], report["encoded"]) == (3, 3, 0)
    assert "rerank" not in source_of(client, command.index, "1")


def test_a_text_that_goes_takes_its_vector_along(command: Command, client: OpenSearch) -> None:
    command.load(lines({"_id": "1", "title": "a"}))
    command.load(lines({"_id": "1", "title": ""}))
    assert source_of(client, command.index, "1") == {"title": ""}


def test_emoji_surrogates_and_controls_are_encoded(command: Command) -> None:
    titles = ["😀👩‍👩‍👧", "\ud800 lone", "\udfff\ud800", "\x00 nul \u200b", "\u202e right to left", "﷽" * 500]
    report = command.load(lines(*({"_id": str(i), "title": title} for i, title in enumerate(titles))))
    assert (report["indexed"], report["encoded"], report["rejected"]) == (6, 6, 0)


def test_a_megabyte_of_text_costs_what_a_page_costs(command: Command) -> None:
    started = time.monotonic()
    report = command.load(
        lines({"_id": "1", "title": "word " * 200_000}, {"_id": "2", "title": "x" * 1_000_000})
    )
    assert (report["indexed"], report["encoded"]) == (2, 2)
    assert time.monotonic() - started < 30


def test_the_same_id_twice_keeps_the_last(command: Command, client: OpenSearch) -> None:
    report = command.load(lines(*({"_id": "1", "title": f"version {i}"} for i in range(5))))
    assert report["indexed"] == 5
    assert source_of(client, command.index, "1")["title"] == "version 4"


def test_a_broken_gzip_keeps_what_came_before(command: Command, client: OpenSearch) -> None:
    data = gzip.compress(b"".join(b'{"_id": "%d", "title": "%d"}\n' % (i, i**5) for i in range(2000)))
    report = command.load(data[: len(data) // 2])
    assert "breaks off after line" in report["stopped"]
    assert client.count(index=command.index)["count"] == report["indexed"] > 100


def test_an_empty_input_is_no_error(command: Command) -> None:
    assert command.load(b"")["indexed"] == 0


def test_an_index_that_is_missing_or_not_enabled(
    opensearch_url: str, client: OpenSearch, index_name: str
) -> None:
    missing = Command(opensearch_url, index_name)("index", "-", data=numbered(1))
    assert missing.returncode == 1
    assert f"Create it with: twinrank enable {index_name}".encode() in missing.stderr
    client.indices.create(index=index_name)
    for name, arguments in (("index", ("-",)), ("status", ())):
        done = Command(opensearch_url, index_name)(name, *arguments, data=numbered(1))
        assert done.returncode == 1
        assert f"twinrank enable {index_name} --field".encode() in done.stderr
        assert b"Traceback" not in done.stderr


def test_another_model_than_the_settings_name(command: Command) -> None:
    command("enable", "--model-name", "another")
    done = command("index", "-", data=numbered(1))
    assert done.returncode == 1
    assert b"expected the bundle another" in done.stderr


@pytest.mark.parametrize("name", ["enable", "index", "status"])
def test_nobody_there_at_the_start(index_name: str, name: str) -> None:
    away = Command(f"http://127.0.0.1:{free_port()}", index_name)
    done = away(
        name, *(["-"] if name == "index" else ["--field", "t"] if name == "enable" else []), data=numbered(1)
    )
    assert done.returncode == 1
    assert b"cannot be reached" in done.stderr
    assert b"Traceback" not in done.stderr


def test_status_counts_and_says_what_to_do(command: Command, client: OpenSearch) -> None:
    def status() -> dict[str, Any]:
        client.indices.refresh(index=command.index)
        report: dict[str, Any] = json.loads(command("status", "--json").stdout)
        return report

    assert status()["next"] == (
        f"The index is empty; next: twinrank index {command.index} FILE, or write through the proxy"
    )
    command.load(numbered(4))
    full = status()
    assert (full["documents"], full["with_vector"], full["coverage"]) == (4, 4, 1.0)
    assert full["sample"] == {"current": 4, "stale": 0, "other_model": 0, "unusable": 0}
    assert full["next"] == "Nothing: every document has a vector."
    client.index(index=command.index, id="new", body={"title": "around us"})
    expected = f"4 of 5 documents have vectors; next: twinrank sync {command.index} (less than 1 min here)"
    assert status()["next"] == expected
    stored = source_of(client, command.index, "1")
    client.index(index=command.index, id="1", body=stored | {"title": "changed around us"})
    client.index(index=command.index, id="2", body={"title": "x", "rerank": {"vector": "AAAA"}})
    sampled = status()
    assert sampled["sample"] == {"current": 2, "stale": 1, "other_model": 0, "unusable": 1}
    assert sampled["next"].endswith(f"1 stale, 1 unusable; next: twinrank sync {command.index}")
    assert b"coverage: 0.8" in command("status").stdout


def test_enable_names_sync_for_an_index_that_has_documents(command: Command, client: OpenSearch) -> None:
    """And what status names, works: the vectors are there afterwards."""
    for number in range(3):
        client.index(index=command.index, body={"title": f"around {number}"}, refresh=True)
    said = command("enable", "--field", "title").stdout.decode()
    sync = f"twinrank sync {command.index}"
    assert f"0 of 3 documents have vectors; next: {sync} (less than 1 min here)" in said
    assert "docs/how-to/reindex.md" in said
    assert f"{command.index} FILE" not in said
    assert command("sync").returncode == 0
    assert b"next: Nothing: every document has a vector." in command("status").stdout
    off = command.run("disable", "--strip").stdout.decode()
    assert f"twinrank enable {command.index}, then {sync}" in off
    client.indices.refresh(index=command.index)
    after = command("status").stdout.decode()
    assert f"reranking is off; next: twinrank enable {command.index}, then {sync}" in after
    assert "FILE" not in after


def test_enable_names_a_file_for_an_empty_index_alone(command: Command) -> None:
    said = command("enable", "--field", "title").stdout.decode()
    assert f"twinrank index {command.index} FILE" in said
    changed = command("enable", "--field", "text")
    assert f"no longer fit; next: twinrank sync {command.index}" in changed.stderr.decode()
    said = command("enable", "--field", "text", "--dry-run").stdout.decode()
    assert "next:" not in said


def test_documents_without_text_need_no_sync(command: Command, client: OpenSearch) -> None:
    """A wrong field is told of, and documents that can have no vector are no work that is left."""
    client.index(index=command.index, body={"other": "around"}, refresh=True)
    said = command("enable", "--field", "title").stdout.decode()
    assert "the 1 that were looked at have no text in title" in said
    assert "choose other fields" in said
    command.load(numbered(2))
    assert "2 of 3 documents have vectors; of the others, the 1 that" in command("status").stdout.decode()
