"""Reading collections in the layout of BEIR."""

import gzip
from pathlib import Path

import pytest

from plugin.evaluation.collection import read_collection
from reranker.beir_files import CollectionError

CORPUS = '{"_id":"d1","title":"","text":"one"}\n{"_id":"d2","title":"Two","text":"two"}\n'
QUERIES = '{"_id":"q1","text":"first"}\n{"_id":"q2","text":"second"}\n{"_id":"q3","text":"unjudged"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq2\td2\t2\nq1\td1\t1\nq1\td2\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corpus.jsonl").write_text(CORPUS)
    (tmp_path / "queries.jsonl").write_text(QUERIES)
    (tmp_path / "qrels.tsv").write_text(QRELS)
    return tmp_path


def test_everything_is_read(folder: Path) -> None:
    found = read_collection(folder)
    assert found.queries == {"q1": "first", "q2": "second"}
    assert found.qrels == {"q1": {"d1": 1, "d2": 0}, "q2": {"d2": 2}}
    assert (found.num_documents, found.text_fields, found.left_out) == (2, ("title", "text"), {})


def test_gzipped_files_and_the_qrels_folder(folder: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl"):
        plain = folder / name
        (folder / f"{name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    (folder / "qrels").mkdir()
    (folder / "qrels.tsv").rename(folder / "qrels" / "test.tsv")
    assert read_collection(folder).queries == {"q1": "first", "q2": "second"}


def test_a_limit_keeps_the_first_queries_and_their_judgements(folder: Path) -> None:
    found = read_collection(folder, queries_limit=1)
    assert found.queries == {"q1": "first"}
    assert found.qrels.keys() == {"q1"}


def test_other_qrels(folder: Path) -> None:
    other = folder / "dev.tsv"
    other.write_text("q3\td1\t1\n")
    assert read_collection(folder, qrels_file=other).queries == {"q3": "unjudged"}


def test_documents_to_leave_out(folder: Path) -> None:
    (folder / "source_docs.tsv").write_text("query-id\tcorpus-id\nq1\td2\n")
    assert read_collection(folder).left_out == {"q1": {"d2"}}


def test_hits_that_count(folder: Path) -> None:
    (folder / "source_docs.tsv").write_text("query-id\tcorpus-id\nq1\td2\n")
    collection = read_collection(folder)
    assert collection.select_counted("q1", ["d2", "n", "d1"], judged_only=False) == ["n", "d1"]
    assert collection.select_counted("q1", ["d2", "n", "d1"], judged_only=True) == ["d1"]
    assert collection.select_counted("q2", ["d2", "d1"], judged_only=True) == ["d2"]


def test_without_titles_only_the_text_is_searched(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text('{"_id":"d1","text":"one"}\n')
    assert read_collection(folder).text_fields == ("text",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.jsonl", None, r"found no corpus\.jsonl, plain or gzipped"),
        ("corpus.jsonl", '{"_id":"d1"}\nnot json\n', r"corpus\.jsonl, line 2"),
        ("queries.jsonl", '{"text":"no id"}\n', r"queries\.jsonl, line 1.*_id"),
        ("qrels.tsv", "q1\td1\tgood\n", r"qrels\.tsv, line 1: expected .*whole number"),
        ("qrels.tsv", "q9\td1\t1\n", "expected judged queries, found none"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, name: str, content: str | None, message: str) -> None:
    path = folder / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(CollectionError, match=message):
        read_collection(folder)


def test_a_broken_archive_is_named(folder: Path) -> None:
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(CORPUS.encode())[:-9])
    with pytest.raises(CollectionError, match=r"corpus\.jsonl\.gz"):
        read_collection(folder)
