"""Judgements and collections as people have them: the same in `twinrank` and in `twinrank-export`."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from plugin.evaluation.collection import read_collection
from reranker.beir_files import CollectionError
from reranker.judgements import JudgementFile, read_judgement_file, read_judgements
from tests.support.index_command import Command, lines

EXPECTED = {"1001": {"5001": 1, "5002": 0}, "1002": {"5003": 2}}
ROWS = [("1001", "5001", "1"), ("1001", "5002", "0"), ("1002", "5003", "2")]


def rows(separator: str, order: str = "qdg", header: str = "") -> str:
    """Write ROWS in an order of columns; `0` is TREC's second column."""
    cells = [dict(zip("qdg", row, strict=True)) | {"0": "0"} for row in ROWS]
    rows = [separator.join(each[column] for column in order) for each in cells]
    return "\n".join([header, *rows] if header else rows) + "\n"


LAYOUTS = {
    "BEIR": rows("\t", header="query-id\tcorpus-id\tscore"),
    "without a header": rows("\t"),
    "TREC with tabs": rows("\t", "q0dg"),
    "TREC with blanks": rows(" ", "q0dg"),
    "TREC in columns": rows("    ", "q0dg"),
    "three with blanks": rows(" "),
    "CSV": rows(",", header="query_id,doc_id,relevance"),
    "CSV without a header": rows(","),
    "CSV with blanks": rows(", "),
    "CSV with quotes": '"1001","5001","1"\n"1001","5002","0"\n"1002","5003","2"\n',
    "another order": rows("\t", "gdq", header="grade\tdocid\tqid"),
    "grade first": rows(",", "gqd", header="Score,Query ID,Corpus ID"),
    "TREC with a header": rows("\t", "q0dg", header="topic\titeration\tdocno\trel"),
    "whole floats": rows("\t").replace("\t1\n", "\t1.0\n").replace("\t2\n", "\t2.\n"),
    "CRLF": rows("\t").replace("\n", "\r\n"),
    "a mark and blank lines": "\ufeff" + rows("\t").replace("\n", "\n\n"),
    "said twice": rows("\t") + "1001\t5001\t1\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_layout_says_the_same(tmp_path: Path, layout: str, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "qrels"  # the name says nothing
    file.write_bytes(pack(LAYOUTS[layout].encode()))
    assert read_judgements(file) == EXPECTED


def test_ids_may_hold_commas_and_blanks(tmp_path: Path) -> None:
    file = tmp_path / "qrels"
    file.write_text("q 1\td,1\t1\n")
    assert read_judgements(file) == {"q 1": {"d,1": 1}}
    file.write_text("q1 0 d,1,x 1\n")
    assert read_judgements(file) == {"q1": {"d,1,x": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected judgements .*, found none"),
        ("q1\td1\tgood\n", "line 1: expected query-id, corpus-id and a whole number"),
        ("q1\td1\t1\nq1\td2\t0.5\n", r"line 2, column 3: expected .*whole number.*'0\.5'"),
        ("q1\td1\t1\nq1\td2\n", "line 2: expected 3 columns, as in the first line"),
        ("q1\td1\t1\nq1\t\t1\n", "line 2, column 2: expected query-id"),
        ("q1\td1\n", "line 1: expected .* a header with query-id"),
        ("q1\t1\n", "line 1: expected .* found 2 columns"),
        ("1001\t1\t5001\n", "found 5001, which looks like an id.*name them in a header"),
        ("q1 Q0 d1 1 17.3 bm25\n", "found a run, which is a system's answer"),
        ("topic\tpassage\tweight\n1\t2\t1\n", r"header with query-id, corpus-id and score, found \['topic'"),
        ("q1\td1\t1\nq1\td1\t0\n", "line 2: expected one grade of document d1 for query q1, found 0 after 1"),
        ("q1\td1\t0\nq2\td1\t-1\n", "expected a grade above 0, found none"),
        ('{"q1": {"d1": 1}}\n', "found JSON"),
        ("q\ud800", "expected UTF-8 text"),
    ],
)
def test_what_is_no_judgement_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "qrels.tsv"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CollectionError, match=message):
        read_judgements(file)


HEAD = "query_id,doc_id,judgment\n"

GRADED: dict[str, tuple[str, dict[str, dict[str, float]], dict[str, str], int]] = {
    "fractions": (HEAD + "q1,d1,0.5\nq1,d2,1\n", {"q1": {"d1": 0.5, "d2": 1}}, {}, 0),
    "less than nothing": (HEAD + "q1,d1,-1\nq1,d2,2\n", {"q1": {"d1": -1, "d2": 2}}, {}, 0),
    "JSON lines": (
        '{"query_id": "q1", "doc_id": 7, "judgment": 0.25, "by": ["x"]}\n'
        '{"query_id": "q1", "doc_id": "d", "judgment": 0}\n',
        {"q1": {"7": 0.25, "d": 0}}, {}, 0,
    ),
    "Quepid's basic export": (
        "query,docid,rating\nred shoe,d1,3\n red shoe ,d2,0\nnothing rated\nblue,d3,\n",
        {"red shoe": {"d1": 3, "d2": 0}}, {"red shoe": "red shoe"}, 2,
    ),
    "Quepid's detailed export": (
        "Team Name,Case Name,Case ID,Query Text,Doc ID,Title,Rating,brand\n"
        't,c,5,"red, shoe",d1,"A ""red"" shoe",3,x\nt,c,5,"red, shoe",d2,B,,x\n',
        {"red, shoe": {"d1": 3}}, {"red, shoe": "red, shoe"}, 1,
    ),
    "ids and texts": (
        "query_id,query,doc_id,judgment\nq1,red,d1,1\nq2,blue,d1,2\n",
        {"q1": {"d1": 1}, "q2": {"d1": 2}}, {"q1": "red", "q2": "blue"}, 0,
    ),
    "a cell of two lines": (
        'query,docid,rating\n"red\nshoe",d1,1\nblue,d2,2\n',
        {"red\nshoe": {"d1": 1}, "blue": {"d2": 2}}, {"red\nshoe": "red\nshoe", "blue": "blue"}, 0,
    ),
}  # fmt: skip
"""A file's text; its grades, its queries' texts, and how many of its rows have no rating."""


@pytest.mark.parametrize("kind", GRADED)
def test_fractions_and_exports_are_read(tmp_path: Path, kind: str) -> None:
    text, grades, texts, num_unrated = GRADED[kind]
    file = tmp_path / "judgments"
    file.write_text(text)
    assert read_judgement_file(file) == JudgementFile(grades, texts, num_unrated)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "q1,d1,x\n", "line 2, column 3: expected .* a number as judgment.*found 'x'"),
        (HEAD + 'q1,d1,"0,5"\n', "line 2, column 3: .*found '0,5'"),
        ("judgment,doc_id,query_id\n1,,q1\n", "line 2, column 2: .*found ''"),
        (HEAD + "q1,d1,0.5\nq1,d1,0.25\n", "line 3: expected one grade .*found 0.25 after 0.5"),
        (HEAD + "q1,d1,\n", "line 2, column 3"),
        (HEAD + 'q1,"d1,1\n' + "x" * 200_000, "line 2: expected cells between commas"),
        (HEAD + 'q1,"d1,1\nq2,d2,1\n', "line 2: .*found a quote without end"),
        ('{"query_id": "q1", "doc_id": "d1"}\n', r"line 1: expected .*found \['query_id', 'doc_id'\]"),
        ('{"query_id": "q1", "doc_id": ["d1"], "judgment": 1}\n', "line 1: expected .*found: Expected"),
        ('{"query_id": "q", "doc_id": "d", "judgment": 1}\n{"q"\n', "line 2, column 5: .*found: Input"),
        ('{"query_id": "ü", "doc_id": x}\n', "line 1, column 29: expected .*found: JSON is malformed"),
    ],
)  # fmt: skip
def test_what_is_no_grade_is_refused_with_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "judgments"
    file.write_text(text)
    with pytest.raises(CollectionError, match=message) as raised:
        read_judgement_file(file)
    assert len(str(raised.value)) < 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """BEIR's own layout: plain files, and `qrels/test.tsv`."""
    place = tmp_path / "collection"
    (place / "qrels").mkdir(parents=True)
    ids = range(5001, 5005)
    (place / "corpus.jsonl").write_bytes(
        lines(*({"_id": str(i), "title": "T", "text": f"text {i}", "metadata": {}} for i in ids))
    )
    (place / "queries.jsonl").write_bytes(
        lines(*({"_id": str(i), "text": f"query {i}"} for i in (1001, 1002, 1003)))
    )
    (place / "qrels/test.tsv").write_text(LAYOUTS["BEIR"])
    return place


def exporters(folder: Path) -> dict[str, dict[str, int]]:
    """Read a collection in `twinrank-export`; its queries and documents are compared here."""
    pytest.importorskip("bm25s", reason="needs the export extra")
    from model_export.data.collection import load_collection

    found = load_collection(folder)
    assert found.queries == {"1001": "query 1001", "1002": "query 1002"}
    assert found.documents["5001"] == "T text 5001"
    return found.qrels


def packed(folder: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()


def flat(folder: Path) -> None:
    (folder / "qrels/test.tsv").rename(folder / "qrels.tsv")


def numbers(folder: Path) -> None:
    for name in ("corpus.jsonl", "queries.jsonl"):
        rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
        (folder / name).write_bytes(lines(*(each | {"_id": int(each["_id"])} for each in rows)))


def trec(folder: Path) -> None:
    (folder / "qrels/test.tsv").write_text(LAYOUTS["TREC with blanks"])


@pytest.mark.parametrize("change", [lambda folder: None, packed, flat, numbers, trec])
def test_both_programs_read_one_collection_alike(folder: Path, change: Callable[[Path], None]) -> None:
    change(folder)
    found = read_collection(folder)
    assert (found.qrels, found.num_missing) == (EXPECTED, 0)
    assert found.queries == {"1001": "query 1001", "1002": "query 1002"}
    assert exporters(folder) == EXPECTED


def elsewhere(folder: Path) -> None:
    file = folder / "qrels/test.tsv"
    file.write_text(file.read_text().replace("\t50", "\tdoc-50"))


def twice(folder: Path) -> None:
    with (folder / "queries.jsonl").open("a") as file:
        file.write('{"_id": "1001", "text": "another"}\n')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (elsewhere, r"corpus\.jsonl: expected judged documents, found 0 of the 3"),
        (twice, "expected one text of query 1001, found two"),
        (lambda folder: (folder / "queries.jsonl").write_text("1001\tquery\n"), 'line 1: expected {"_id"'),
        (lambda folder: (folder / "corpus.jsonl").write_text('{"id": 1}\n'), 'line 1: expected {"_id"'),
        (lambda folder: (folder / "corpus.jsonl").write_bytes(b"\xff"), "expected UTF-8 text"),
        (lambda folder: shutil.rmtree(folder / "qrels"), "qrels.tsv or qrels/test.tsv"),
        (lambda folder: (folder / "qrels/test.tsv").write_text("q1\td1\tx\n"), "line 1: expected query-id"),
    ],
)
def test_both_programs_refuse_one_collection_alike(
    folder: Path, change: Callable[[Path], None], message: str
) -> None:
    change(folder)
    with pytest.raises(CollectionError, match=message):
        read_collection(folder)
    pytest.importorskip("bm25s", reason="needs the export extra")
    from model_export.data.collection import load_collection

    with pytest.raises(CollectionError, match=message):
        load_collection(folder)


def test_a_ready_run_says_its_columns(folder: Path) -> None:
    pytest.importorskip("bm25s", reason="needs the export extra")
    from model_export.data.collection import load_collection

    run = folder / "bm25_run.tsv"
    run.write_text("query-id\tcorpus-id\tscore\n1001\t5002\t7.5\n")
    assert load_collection(folder).hits == {"1001": {"5002": 7.5}, "1002": {}}
    run.write_text("1001 Q0 5002 1 7.5 bm25\n")
    with pytest.raises(CollectionError, match="line 1: expected the columns query-id, corpus-id, score"):
        load_collection(folder)
    run.write_text("query-id\tcorpus-id\tscore\n1001\t5002\thigh\n")
    with pytest.raises(CollectionError, match="line 2: expected"):
        load_collection(folder)


def test_judged_documents_that_are_missing_are_counted(folder: Path) -> None:
    file = folder / "qrels/test.tsv"
    file.write_text(file.read_text() + "1001\tgone\t1\n1003\t5004\t1\n")
    found = read_collection(folder)
    assert (found.num_missing, len(found.queries)) == (1, 3)


@pytest.mark.live
def test_tune_and_evaluate_say_what_cannot_be_measured(
    opensearch_url: str, index_name: str, tmp_path: Path, folder: Path
) -> None:
    command = Command(opensearch_url, index_name).enabled()
    command.load(lines(*({"_id": str(5000 + i), "title": f"word{i} shoe"} for i in range(12))))
    queries, qrels = tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"
    queries.write_bytes(
        lines(*({"_id": 1000 + i, "text": f"word{i} shoe"} for i in range(12)), {"_id": "x", "text": "y"})
    )

    def tuned(rows: str) -> tuple[int, str, str]:
        qrels.write_text(rows)
        done = command("tune", "--queries", str(queries), "--qrels", str(qrels))
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    code, _, errors = tuned("".join(f"{1000 + i}\tdoc-{5000 + i}\t1\n" for i in range(12)))
    assert code == 1
    assert f"Error: 0 of 12 judged documents are in {index_name}: an id in " in errors
    trec_rows = "".join(f"{1000 + i} 0 {5000 + i} 1\n" for i in range(12))
    code, output, errors = tuned(trec_rows + "1000 0 gone 1\n1999 0 5001 1\n")
    assert code == 0, errors
    assert "OpenSearch alone            0." in output
    assert "OpenSearch alone            0.000" not in output
    assert f"note: 12 of 13 judged documents are in {index_name}" in errors
    assert "note: 1 of 13 queries have no judgement" in errors
    assert "note: 1 of 13 judged queries are not in" in errors

    def evaluated(*options: str) -> tuple[int, str]:
        done = Command(opensearch_url, str(folder))("evaluate", "--index", f"{index_name}-e", *options)
        return done.returncode, done.stderr.decode()

    code, errors = evaluated("--relevant", "3")
    assert (code, "expected a grade of at least 3, found none" in errors) == (1, True)
    elsewhere(folder)
    code, errors = evaluated()
    assert (code, "expected judged documents, found 0 of the 3" in errors) == (1, True)
