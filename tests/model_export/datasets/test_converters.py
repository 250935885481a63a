"""Each converter, on a small piece in the form in which upstream publishes it."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from model_export.datasets import answers, archives, classic
from model_export.datasets.converted import CollectionDocument
from model_export.errors import ExportError


def fill(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def test_cranfield_leaves_out_what_is_not_its_own(tmp_path: Path) -> None:
    files = {
        "cran.all.1400": (
            ".I 1\n.T\nwings\nin slipstreams .\n.A\nbrenckman,m.\n.B\nj. 1\n.W\nwings\nin slipstreams .\n"
            "a study\n.W\nof wings .\n.I 2\n.T\n\n.A\n\n.B\n\n.W\n\n.I 1401\n.T\napa\n.W\nini\n"
        ),
        "cran.qry": ".I 001\n.W\nwhat laws\nhold .\n.I 004\n.W\nhow hot .\n",
        "cranqrel": "1 1 1\n1 2 -1\n2 2 5\n2 1401 2\n226 1 1\n",
    }
    found = classic.convert_cranfield(fill(tmp_path, files))
    assert found.documents == [
        CollectionDocument("1", "a study of wings .", "wings in slipstreams ."),
        CollectionDocument("2", "", ""),
    ]
    assert found.queries == {"": {"1": "what laws hold .", "2": "how hot ."}}
    assert found.qrels == {"": [("1", "1", 4), ("2", "2", 0)]}
    assert found.tables == {"source_docs": [("query-id", "corpus-id"), ("1", "2")]}


def test_cacm_is_read_from_its_pages(tmp_path: Path) -> None:
    page = (
        "<html>\n<pre>\n\n\nMatrix Programs\n\nA report on\nmatrices.\n\n"
        "CACM May, 1960\n\nSmith, J.\n\nCA600503 JB March 22, 1978\n\n1\t5\t1\n</pre>\n</html>\n"
    )
    with tarfile.open(tmp_path / "cacm.tar.gz", "w:gz") as archive:
        for number in (2, 1):
            member = tarfile.TarInfo(f"cacm/CACM-000{number}.html")
            member.size = len(page)
            archive.addfile(member, io.BytesIO(page.encode()))
    files = {
        "topics.cacm.txt": "<DOC>\n<DOCNO> 1 </DOCNO>\n\n What is\nTSS?\n\n</DOC>\n",
        "qrels.cacm.txt": "1 0 CACM-2 1\n",
    }
    found = classic.convert_cacm(fill(tmp_path, files))
    assert [each.id for each in found.documents] == ["CACM-0001", "CACM-0002"]
    assert found.documents[0].title == "Matrix Programs"
    assert found.documents[0].text == "A report on matrices. Smith, J."
    assert found.queries == {"": {"1": "What is TSS?"}}
    assert found.qrels == {"": [("1", "CACM-0002", 1)]}


def test_npl(tmp_path: Path) -> None:
    files = {
        "doc-text.trec": (
            "<DOC>\n<DOCNO>1</DOCNO>\ncompact\nmemories\n</DOC>\n<DOC>\n<DOCNO>2</DOCNO>\nb\n</DOC>\n"
        ),
        "query-text.trec": "<top>\n<num>1</num><title>\nCOMPACT THINGS\n</title>\n</top>\n",
        "qrels": "1 0 1 1\n1 0 2 1\n",
    }
    found = classic.convert_npl(fill(tmp_path, files))
    assert found.documents == [CollectionDocument("1", "compact memories"), CollectionDocument("2", "b")]
    assert found.queries == {"": {"1": "compact things"}}
    assert found.qrels == {"": [("1", "1", 1), ("1", "2", 1)]}


def squad(*paragraphs: dict[str, object]) -> str:
    return json.dumps({"data": [{"title": "The_Normans", "paragraphs": list(paragraphs)}]})


def test_squad_tells_its_three_kinds_of_questions_apart(tmp_path: Path) -> None:
    answer = {"text": "here", "answer_start": 0}
    asked = [
        {"id": "a", "question": "Where ?", "answers": [answer], "is_impossible": False},
        {"id": "b", "question": "Why?", "answers": [], "is_impossible": True},
    ]
    files = {
        "dev-v2.0.json": squad({"context": "Here they\nlived.", "qas": asked}),
        "test-v2.0.json": squad(
            {"context": "Later.", "qas": [{"id": "c", "question": "When?", "answers": []}]}
        ),
    }
    found = answers.convert_squad2(fill(tmp_path, files))
    assert found.documents == [
        CollectionDocument("s0", "Here they lived.", "The Normans"),
        CollectionDocument("s1", "Later.", "The Normans"),
    ]
    assert found.queries == {"": {"a": "Where ?"}}
    assert found.qrels == {"": [("a", "s0", 1)]}
    assert found.tables == {"pairs": [("When?", "The Normans. Later.")], "unanswerable_dev": [("Why?", "s0")]}


def wikiqa_files(split: str, question: str, labels: str) -> dict[str, str]:
    rows = range(len(labels))
    return {
        f"{split}-id.txt": "".join("7\n" for _ in rows),
        f"{split}-a.toks": "".join(f"{question}\n" for _ in rows),
        f"{split}-b.toks": "".join(f"{split} sentence {row}\n" for row in rows),
        f"{split}-sim.txt": "\n".join(labels) + "\n",
    }


def test_wikiqa_keeps_negatives_and_training_apart(tmp_path: Path) -> None:
    files = (
        wikiqa_files("train", "how", "01")
        | wikiqa_files("dev", "what", "1")
        | wikiqa_files("test", "who", "0")
    )
    found = answers.convert_wikiqa(fill(tmp_path, files))
    assert [each.id for each in found.documents] == ["w0", "w1", "w2", "w3"]
    assert found.queries == {"train": {"train7": "how"}, "": {"dev7": "what", "test7": "who"}}
    assert found.qrels["train"] == [("train7", "w0", 0), ("train7", "w1", 1)]
    assert found.qrels[""] == [("dev7", "w2", 1), ("test7", "w3", 0)]


def test_trecqa_joins_its_tokens(tmp_path: Path) -> None:
    block = (
        "<QApairs id='{0}'>\n<question>\nWho\tis\tit\t?\n</question>\n"
        "<positive>\nIt\tis\t{0}\n1\t2\t3\n</positive>\n"
        "<negative>\nNo\none\n</negative>\n</QApairs>\n"
    )
    names = {"TRAIN": "1", "DEV": "1.2", "TEST": "3"}
    files = {f"{name}.xml": block.format(each) for name, each in names.items()}
    files["TEST.xml"] += "<QApairs id='4'>\n<question>\nWhy\t?\n</question>\n</QApairs>\n"
    found = answers.convert_trecqa(fill(tmp_path, files))
    assert found.queries[""] == {"dev1.2": "Who is it ?", "test3": "Who is it ?", "test4": "Why ?"}
    assert found.documents[:2] == [CollectionDocument("t0", "It is 1"), CollectionDocument("t1", "No")]
    assert found.qrels["train"] == [("train1", "t0", 1), ("train1", "t1", 0)]


def test_natural_questions_are_joined_from_both_sources(tmp_path: Path) -> None:
    contexts = [
        {"title": "X", "text": "not gold", "isgold": False},
        {"title": "Physics", "text": "The first prize.", "isgold": True},
    ]
    with gzip.open(tmp_path / "nq-open-oracle.jsonl.gz", "wt", encoding="utf-8") as file:
        file.write(json.dumps({"question": "who won", "ctxs": contexts}) + "\n")
    rows = [
        {
            "question_text": "who won",
            "paragraph_text": "`` Another '' passage ( of two ) .",
            "title_text": "Prizes",
        },
        {
            "question_text": "what is it",
            "paragraph_text": "The first prize , 1901 .",
            "title_text": "Physics",
        },
    ]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    found = answers.convert_natural_questions(fill(tmp_path, {"qed-dev.jsonlines": lines}))
    assert found.queries == {"": {"q0": "who won", "q1": "what is it"}}
    assert found.qrels == {"": [("q0", "p0", 1), ("q0", "p1", 1), ("q1", "p0", 1)]}
    assert found.documents[1] == CollectionDocument("p1", '"Another" passage (of two).', "Prizes")


def test_epqa(tmp_path: Path) -> None:
    rows = (
        "qid,question,ASIN,candidate,source,qa_pair_id,title,label,answer\n"
        '18,"will it  ""fit""?",B0,yes ,cqa,140,A Pan,2,\n'
    )
    found = answers.convert_epqa(fill(tmp_path, {"dev.csv": rows}))
    assert found.documents == [CollectionDocument("c140", "yes", "A Pan")]
    assert found.queries == {"": {"18": 'will it "fit"?'}}
    assert found.qrels == {"": [("18", "c140", 2)]}


def pack(file: Path, files: dict[str, str], encoding: str = "utf-8") -> None:
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content.encode(encoding))


def test_nfcorpus_gives_each_split_its_queries(tmp_path: Path) -> None:
    header = "query-id\tcorpus-id\tscore\n"
    files = {
        "nfcorpus/corpus.jsonl": '{"_id": "MED-1", "title": "T", "text": "x", "metadata": {}}\n',
        "nfcorpus/queries.jsonl": "".join(f'{{"_id": "P-{n}", "text": "q {n}"}}\n' for n in (1, 2, 3)),
        "nfcorpus/qrels/test.tsv": f"{header}P-2\tMED-1\t2\n",
        "nfcorpus/qrels/train.tsv": f"{header}P-1\tMED-1\t1\n",
        "nfcorpus/qrels/dev.tsv": f"{header}P-3\tMED-1\t1\n",
    }
    pack(tmp_path / "nfcorpus.zip", files)
    found = archives.convert_nfcorpus(tmp_path)
    assert found.documents == [CollectionDocument("MED-1", "x", "T")]
    assert found.queries == {"": {"P-2": "q 2"}, "train": {"P-1": "q 1"}, "dev": {"P-3": "q 3"}}
    assert found.qrels[""] == [("P-2", "MED-1", 2)]


@pytest.mark.parametrize(("rating", "grade"), [("1", 0), ("1.5", 0), ("2.0", 1), ("2.33", 2), ("3", 3)])
def test_homedepot_grades_mean_ratings(tmp_path: Path, rating: str, grade: int) -> None:
    header = '"id","product_uid","product_title","search_term","relevance"'
    rows = f'{header}\n2,100001,"90° Angle","angle bracket",{rating}\n'
    pack(tmp_path / "train.csv.zip", {"train.csv": rows}, encoding="latin-1")
    found = archives.convert_homedepot(tmp_path)
    assert found.documents == [CollectionDocument("100001", "90° Angle")]
    assert found.queries == {"": {"1": "angle bracket"}}
    assert found.qrels == {"": [("1", "100001", grade)]}


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "nfcorpus.zip").write_text("<html>sign in first</html>")
    with pytest.raises(ExportError, match=r"expected a zip archive in .*nfcorpus\.zip"):
        archives.convert_nfcorpus(tmp_path)
