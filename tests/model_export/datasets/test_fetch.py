"""`twinrank-export fetch`, against a real HTTP server of small files."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from model_export.data.collection import load_collection
from model_export.datasets.catalogue import Dataset, read_catalogue
from model_export.datasets.fetch import CONVERTERS
from model_export.errors import ExportError
from tests.support.file_server import FileServer, file_server
from tests.support.paths import DOCS, ROOT

CATALOGUE = """
[small]
about = "A small collection."
licence = "CC0"
source = "this test"
format = "npl"
counts = {{documents = {documents}, queries = 1, judgements = 1}}
parts = [
    {{name = "doc-text.trec", url = "{url}/docs", checksum = "{docs}"}},
    {{name = "query-text.trec", url = "{url}/queries", checksum = "{queries}"}},
    {{name = "qrels", url = "{url}/qrels", checksum = "{qrels}"}},
]

[by_hand]
about = "A collection behind a form."
licence = "research only"
source = "somebody"
format = "homedepot"
instructions = "Ask somebody for train.csv.zip"
parts = [{{name = "train.csv.zip", checksum = "git:{zeros}"}}]

[not_automatic]
about = "A collection of packages."
licence = "GFDL 1.3"
source = "Debian"
instructions = "Run apt-get download it"
"""
FILES = {
    "docs": b"<DOC>\n<DOCNO>1</DOCNO>\nwait a bit\n</DOC>\n<DOC>\n<DOCNO>2</DOCNO>\nfiles\n</DOC>\n",
    "queries": b"<top>\n<num>1</num><title>\nHOW TO WAIT\n</title>\n</top>\n",
    "qrels": b"1 0 1 1\n",
}


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as served:
        served.files |= {f"/{name}": content for name, content in FILES.items()}
        yield served


def catalogue(server: FileServer, folder: Path, documents: int = 2) -> Path:
    sums = {name: f"sha256:{hashlib.sha256(content).hexdigest()}" for name, content in FILES.items()}
    file = folder / "catalogue.toml"
    file.write_text(CATALOGUE.format(url=server.url, documents=documents, zeros="0" * 40, **sums))
    return file


def fetch(file: Path, out: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "model_export", "fetch", *names, "--out", out, "--catalogue", file],
        cwd=ROOT, env=os.environ | {"no_proxy": "*"}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_a_collection_is_fetched_converted_and_readable(server: FileServer, tmp_path: Path) -> None:
    done = fetch(catalogue(server, tmp_path), tmp_path / "data", "small")
    assert (done.returncode, done.stderr) == (0, "")
    folder = tmp_path / "data" / "small"
    assert done.stdout.splitlines() == [
        "small: licence: CC0",
        f"small: documents: 2, queries: 1, judgements: 1, in {folder}",
    ]
    found = load_collection(folder)
    assert found.documents == {"1": "wait a bit", "2": "files"}
    assert found.queries == {"1": "how to wait"}
    assert found.qrels == {"1": {"1": 1}}
    assert "Licence: CC0" in (folder / "SOURCE.txt").read_text()
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as corpus:
        assert json.loads(corpus.readline()) == {"_id": "1", "title": "", "text": "wait a bit"}


def test_a_second_call_fetches_nothing(server: FileServer, tmp_path: Path) -> None:
    file = catalogue(server, tmp_path)
    fetch(file, tmp_path / "data", "small")
    again = fetch(file, tmp_path / "data", "small")
    assert again.stdout == f"small: is in {tmp_path / 'data' / 'small'} already\n"
    assert len(server.ranges) == len(FILES)


def test_one_that_fails_does_not_stop_the_others(server: FileServer, tmp_path: Path) -> None:
    done = fetch(catalogue(server, tmp_path), tmp_path / "data", "by_hand", "not_automatic", "small")
    assert done.returncode == 1
    assert (tmp_path / "data" / "small").is_dir()
    place = tmp_path / "data" / ".downloads" / "by_hand" / "train.csv.zip"
    first, second = done.stderr.splitlines()
    assert first.startswith("Error: by_hand: train.csv.zip cannot be fetched by this command.")
    assert f"Put it at {place}. Ask somebody for train.csv.zip" in first
    assert second == "not_automatic: this command cannot make it. Run apt-get download it"
    assert "by_hand: licence: research only" in done.stdout


def test_a_collection_of_another_size_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    done = fetch(catalogue(server, tmp_path, documents=3), tmp_path / "data", "small")
    assert done.returncode == 1
    assert "small: expected documents: 3, queries: 1, judgements: 1, found documents: 2," in done.stderr
    assert [each.name for each in (tmp_path / "data").iterdir()] == [".downloads"]


def test_a_missing_file_upstream_is_named(server: FileServer, tmp_path: Path) -> None:
    del server.files["/qrels"]
    done = fetch(catalogue(server, tmp_path), tmp_path / "data", "small")
    assert done.returncode == 1
    assert done.stderr == f"Error: small: expected {server.url}/qrels, found: 404 Not Found\n"


def test_an_unknown_name_lists_what_there_is(server: FileServer, tmp_path: Path) -> None:
    done = fetch(catalogue(server, tmp_path), tmp_path / "data", "large")
    assert done.returncode == 1
    assert done.stderr == "Error: expected one of small, by_hand, not_automatic, found large\n"


def test_without_a_name_all_are_listed(server: FileServer, tmp_path: Path) -> None:
    done = fetch(catalogue(server, tmp_path), tmp_path / "data")
    assert (done.returncode, server.ranges) == (0, [])
    assert done.stdout.splitlines()[:2] == ["small: A small collection.", "    Licence: CC0"]
    assert "    By hand: Run apt-get download it" in done.stdout.splitlines()


COLLECTIONS = read_catalogue()


@pytest.mark.parametrize("dataset", COLLECTIONS.values(), ids=list(COLLECTIONS))
def test_every_collection_says_how_it_is_had(dataset: Dataset) -> None:
    assert dataset.is_automatic or dataset.instructions
    assert dataset.format is None or dataset.format in CONVERTERS
    assert (dataset.format is None) == (not dataset.parts)
    pinned = [part.url for part in dataset.parts if part.url]
    assert all(url.startswith("https://raw.githubusercontent.com/") for url in pinned)
    assert all(len(url.split("/")[5]) == 40 for url in pinned), "a branch moves, a commit does not"


def test_the_catalogue_has_whatever_docs_and_configurations_name() -> None:
    files = [*(ROOT / "model_export" / "configs").glob("*.toml"), *DOCS.rglob("*.md")]
    named = set(re.findall(r"var/data/(\w+)", "".join(file.read_text() for file in files)))
    assert len(named) > 10
    assert named <= set(COLLECTIONS)


@pytest.mark.parametrize("name", ["../x", "a/b"])
def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(f'["{name}"]\nabout = "a"\nlicence = "l"\nsource = "s"\n')
    with pytest.raises(ExportError, match="expected a name without folders"):
        read_catalogue(file)
