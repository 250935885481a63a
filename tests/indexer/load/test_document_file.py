"""Files of every form that people give to `twinrank index`: read rightly, or refused by name at once."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from indexer.document import parse
from indexer.errors import InputError
from indexer.load.document_file import read_documents
from indexer.load.lines import Line
from tests.support.index_command import Command, lines, numbered

DOCUMENTS = [{"_id": "1", "title": "one"}, {"_id": "2", "title": "zwei, größer"}]
BULK = lines(
    {"index": {"_index": "a", "_id": "1"}},
    {"title": "one"},
    {"create": {"_id": 2}},
    {"title": "zwei, größer"},
)
HITS = lines(
    {"_index": "a", "_type": "_doc", "_id": "1", "_score": 1, "_source": {"title": "one"}},
    {"_index": "a", "_id": "2", "sort": [1], "_source": {"title": "zwei, größer"}},
)
FOUND = [json.loads(line) for line in HITS.splitlines()]
ANSWER = {"took": 1, "hits": {"total": {"value": 2}, "hits": FOUND}}


def documents_of(data: bytes) -> list[Line]:
    return list(read_documents(io.BufferedReader(io.BytesIO(data))))


def contents(data: bytes) -> list[dict[str, object]]:
    found = []
    for line in documents_of(data):
        assert line.refusal is None
        document = parse(line.raw)
        found.append({"_id": document.id, **document.values})
    return found


def plain() -> bytes:
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in DOCUMENTS).encode()


def pretty() -> bytes:
    return "\n".join(json.dumps(each, indent=2) for each in DOCUMENTS).encode()


@pytest.mark.parametrize(
    "data",
    [
        lines(*DOCUMENTS),
        plain(),
        b"\xef\xbb\xbf" + plain(),
        plain().replace(b"\n", b"\r\n"),
        b"\n \n" + plain(),
        BULK,
        BULK.replace(b"\n", b"\r\n"),
        HITS,
        json.dumps(DOCUMENTS).encode(),
        json.dumps(DOCUMENTS, indent=4).encode(),
        b"\xef\xbb\xbf " + json.dumps(DOCUMENTS, ensure_ascii=False).encode(),
        pretty(),
        json.dumps(FOUND).encode(),
        json.dumps([json.loads(line) for line in BULK.splitlines()], indent=1).encode(),
        b"\n".join(json.dumps(json.loads(line), indent=1).encode() for line in HITS.splitlines()),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_every_form_gives_the_same_documents(data: bytes, pack: Callable[[bytes], bytes]) -> None:
    assert contents(pack(data)) == DOCUMENTS


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"[]", b" [ ] ", gzip.compress(b"", mtime=0), b"\xef\xbb\xbf"]
)
def test_nothing_is_no_document(data: bytes) -> None:
    assert documents_of(data) == []


def test_what_was_written_stays_as_it_is() -> None:
    source = '{"n": 1.10,  "e":"\\u00e9 \\ud800 😀" , "title": [ "a" ]}'.encode()
    bulk = b'{"index":{"_id":"x"}}\n' + source
    hit = b'{"_id":"x","_source": ' + source + b' ,"sort":[1]}\n'
    for data in (bulk, hit, b"[" + hit + b"]"):
        (line,) = documents_of(data)
        document = parse(line.raw)
        assert (document.id, document.source.encode()) == ("x", source)
    assert [line.raw for line in documents_of(b'[ {"a" :\n\r1.0} ,{}]')] == [b'{"a" :  1.0}', b"{}"]


def test_documents_without_id_stay_without() -> None:
    assert [parse(line.raw).id for line in documents_of(b'{"index":{}}\n{"t":1}\n{"index":{}}\n{}\n')] == [
        None
    ] * 2
    assert parse(documents_of(b'{"_index":"a","_source":{}}\n')[0].raw).id is None


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.jsonl", plain())
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a.jsonl")
        entry.size = len(plain())
        archive.addfile(entry, io.BytesIO(plain()))
    return data.getvalue()


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"id,title\n1,one\n", r"found CSV \(id,title\).*mlr --icsv"),
        (b"id;title\n1;one\n", "found CSV with semicolons"),
        (b"id\ttitle\n1\tone\n", "found TSV .*mlr --itsv"),
        (b"\xef\xbb\xbfid,title\n", "found CSV"),
        (plain().decode().encode("utf-16"), "found UTF-16.*iconv -f UTF-16 "),
        (plain().decode().encode("utf-16-le"), "found UTF-16.*iconv -f UTF-16LE"),
        (plain().decode().encode("utf-16-be"), "found UTF-16.*iconv -f UTF-16BE"),
        (plain().decode().encode("utf-32"), "found UTF-32"),
        ('{"t":"größer"}\n{"t":"über"}\n{"t":"x"}\n'.encode("latin-1"), "Latin-1.*iconv -f ISO-8859-1"),
        (b"PAR1\x15\x04\x15", "found Parquet.*DuckDB"),
        (b"Obj\x01\x04", "found Avro"),
        (b"\x28\xb5\x2f\xfd\x04\x00", "found zstd.*zstd -dc"),
        (zipped(), "found zip.*unzip -p"),
        (tarred(), "found a tar archive.*tar -xOf"),
        (b"<?xml version='1.0'?>", "found XML"),
        (b"one document a line\n", r"found text \(one document a line\)"),
        (b"key\0value", "found binary data"),
        (json.dumps(ANSWER).encode(), "the response to a search.*jq -c '.hits.hits"),
        (json.dumps(ANSWER, indent=2).encode(), "the response to a search"),
        (json.dumps(ANSWER | {"x": "y" * 100_000}).encode(), "the response to a search"),
        (
            json.dumps({"_scroll_id": "x", **ANSWER}, indent=2).encode() + b" " * 70_000,
            "the response to a search",
        ),
        (b'{"error":{"type":"index_not_found_exception"},"status":404}', "an error of OpenSearch.*not_found"),
        (b'{"docs":[{"_id":"1","found":false}]}', "the response to _mget"),
        (b'{"took":1,"errors":false,"items":[]}', "the response to _bulk"),
        (b'{"delete":{"_id":"1"}}\n', "a _bulk request with delete actions.*curl"),
        (BULK + b'{"update":{"_id":"1"}}\n{"doc":{}}\n', "a _bulk request with update actions"),
    ],
)
def test_another_form_is_refused_by_its_name(data: bytes, found: str) -> None:
    with pytest.raises(InputError, match=f"expected documents as JSON lines, (found )?.*{found}"):
        read_documents(io.BufferedReader(io.BytesIO(data)))


def refusals(data: bytes) -> dict[int, str | None]:
    return {line.number: line.refusal for line in documents_of(data)}


def test_actions_that_cannot_be_followed_are_refused_one_by_one() -> None:
    long = lines(*({"index": {"_id": i}} if i % 2 else {"title": "x" * 200} for i in range(1, 601)))
    data = long + lines(
        {"delete": {"_id": "1"}},
        {"update": {"_id": "1"}}, {"doc": {}},
        {"index": {"_id": "1", "routing": "a"}}, {"title": "routed"},
        {"index": {"_id": "1", "pipeline": "p"}}, {"title": "changed"},
        {"title": "no action"},
        {"index": {"_id": "3", "require_alias": False}}, {"title": "good"},
        {"index": {"_id": "4"}},
    )  # fmt: skip
    found = {number: why for number, why in refusals(data).items() if number > 600}
    expected = {
        601: "found delete: send", 603: "found update: send", 605: "found routing: send",
        607: "found pipeline: send", 608: "expected the action line", 610: None, 611: "found the end",
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for number, why in expected.items():
        assert why in (found[number] or "") if why else found[number] is None


def test_a_bulk_for_several_indices_is_not_put_into_one() -> None:
    data = lines({"index": {"_index": "a", "_id": "1"}}, {}, {"index": {"_index": "b", "_id": "1"}}, {})
    assert [line.refusal and line.refusal[:52] for line in documents_of(data)] == [
        None,
        "expected documents of a alone, as before, found one ",
    ]


def test_hits_that_are_not_whole_are_refused_one_by_one() -> None:
    data = HITS + lines({"_id": "3"}, {"_id": "4", "_routing": "r", "_source": {}}) + b"{broken\n"
    found = documents_of(data)
    assert [bool(line.refusal) for line in found] == [False, False, True, True, False]
    assert found[-1].raw == b"{broken"


def test_an_object_of_a_users_own_is_no_action_and_no_hit() -> None:
    own: list[dict[str, Any]] = [
        {"index": {"name": "x"}}, {"index": 1, "title": "a"}, {"_id": "1", "hits": 3, "took": 2},
        {"error": "x", "status": 4, "_id": "2"}, {"docs": "x"}, {"delete": None},
    ]  # fmt: skip
    for each in own:
        assert [json.loads(line.raw) for line in documents_of(lines(each))] == [each]


def test_a_broken_first_line_is_one_bad_line() -> None:
    found = documents_of(b'{"_id": "2", "title": \n{"_id":"3"}\n')
    assert [line.raw for line in found] == [b'{"_id": "2", "title": ', b'{"_id":"3"}']


def test_a_pipe_that_goes_on_slowly_is_read_as_it_comes() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, io.FileIO(writing, "w") as pipe:
        pipe.write(plain() + b"\n")
        found: list[Line] = []
        taken = threading.Event()

        def take() -> None:
            found.append(next(read_documents(stream)))
            taken.set()

        thread = threading.Thread(target=take)
        thread.start()
        assert taken.wait(60), "two lines of an open pipe are enough to begin"
        thread.join()
    assert json.loads(found[0].raw) == DOCUMENTS[0]


@pytest.mark.live
def test_a_bulk_file_and_a_dump_go_in_with_their_ids(
    opensearch_url: str, index_name: str, client: OpenSearch, tmp_path: Path
) -> None:
    command = Command(opensearch_url, index_name).enabled()
    report = command.load(BULK)
    assert (report["indexed"], report["without_id"], report["encoded"]) == (2, 0, 2)
    assert client.get(index=index_name, id="2")["_source"]["title"] == "zwei, größer"
    report = command.load(bz2.compress(HITS))
    assert (report["indexed"], report["reused"], report["unchanged"]) == (2, 2, 2)
    file, before = tmp_path / "f.csv", client.indices.get_mapping(index=index_name)
    for data in (b"id,title\n1,one\n", numbered(1).decode().encode("utf-16"), json.dumps(ANSWER).encode()):
        file.write_bytes(data)
        done = command("index", str(file))
        assert done.returncode == 1
        assert done.stderr.startswith(b"Error: expected documents as JSON lines, found ")
        assert b"Nothing was written" in done.stderr
    assert client.indices.get_mapping(index=index_name) == before
    assert client.count(index=index_name)["count"] == 2
    assert command("index", "-", data=b"[]").returncode == 0


@pytest.mark.live
@pytest.mark.parametrize("packed", [False, True])
def test_a_named_file_is_read_once_from_its_beginning(
    opensearch_url: str, index_name: str, client: OpenSearch, tmp_path: Path, packed: bool
) -> None:
    """Its form is looked at before its length is."""
    command, data = Command(opensearch_url, index_name).enabled(), numbered(3000)
    file = tmp_path / "documents"
    file.write_bytes(gzip.compress(data) if packed else data)
    done = command("index", str(file), "--json")
    report = json.loads(done.stdout)
    assert (report["lines"], report["indexed"], report["rejected"]) == (3000, 3000, 0)
    client.indices.refresh(index=index_name)
    assert client.count(index=index_name)["count"] == 3000
