"""Queries as people have them: every layout says the same, and what is no query is refused with its line."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reranker.beir_files import CollectionError
from reranker.query_files import EvaluationQuery, read_query_file

EXPECTED = {"q1": EvaluationQuery("red shoe"), "q2": EvaluationQuery("shoe, blue")}

TOPICS = """<top>
<num> Number: q1
<title> Topic: red shoe
<desc> Description: any
</top>

<top>
<num> Number: q2
<title> shoe,
blue
</top>
"""

LAYOUTS = {
    "CSV": 'query_id,query\nq1,red shoe\nq2,"shoe, blue"\n',
    "CSV with more columns": 'note,Query ID,Query Text\nx,q1,red shoe\n,q2,"shoe, blue"\n',
    "CSV without a header": 'q1,red shoe\nq2,"shoe, blue"\n',
    "TSV": "qid\ttext\nq1\tred shoe\nq2\tshoe, blue\n",
    "TSV without a header": "q1\tred shoe\nq2\tshoe, blue\n",
    "BEIR": '{"_id": "q1", "text": "red shoe", "metadata": {}}\n{"_id": "q2", "text": "shoe, blue"}\n',
    "JSON lines": '{"query_id": "q1", "query": "red shoe"}\n{"query_id": "q2", "query": "shoe, blue"}\n',
    "TREC topics": TOPICS,
    "TREC topics in XML": '<topics><topic number="q1"><query>red shoe</query></topic>\n'
    '<topic number="q2" type="x"><query>shoe, blue</query><question>?</question></topic></topics>',
    "a mark, CRLF and blank lines": '\ufeffquery_id,query\r\n\r\nq1,red shoe\r\nq2,"shoe, blue"\r\n',
    "twice the same": 'query_id,query\nq1,red shoe\nq2,"shoe, blue"\nq1,red shoe\n',
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_every_layout_says_the_same(tmp_path: Path, layout: str, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "queries"  # the name says nothing
    file.write_bytes(pack(LAYOUTS[layout].encode()))
    assert read_query_file(file) == EXPECTED


def test_a_folder_in_beir_layout_has_its_queries(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text(LAYOUTS["BEIR"])
    assert read_query_file(tmp_path) == EXPECTED


def test_a_query_without_an_id_has_its_text_as_id(tmp_path: Path) -> None:
    file = tmp_path / "queries"
    file.write_text("query\nred shoe\nblue\n")
    assert read_query_file(file) == {"red shoe": EvaluationQuery("red shoe"), "blue": EvaluationQuery("blue")}
    file.write_text('{"queryText": "red shoe"}\n')
    assert read_query_file(file) == {"red shoe": EvaluationQuery("red shoe")}


def test_a_line_of_json_may_have_a_whole_body(tmp_path: Path) -> None:
    file, body = tmp_path / "queries", {"query": {"match": {"title": "red"}}}
    file.write_text(
        "\n".join(
            json.dumps(each) for each in ({"_id": 7, "body": body}, {"_id": 8, "query": "r", "body": body})
        )
    )
    assert read_query_file(file) == {"7": EvaluationQuery("7", body), "8": EvaluationQuery("r", body)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected queries .*, found none"),
        ("query_id,query\n", "expected queries .*, found none"),
        ("a,b,c\n1,2,3\n", r"line 1: expected a header with query_id and query.*found \['a', 'b', 'c'\]"),
        ("query_id,query\nq1,red\nq2,red, blue\n", r"line 3: expected 2 columns.*\['q2', 'red', 'blue'\]"),
        ("query_id,query\nq1,\n", "line 2, column 2: expected an id and a text, found nothing"),
        ("query_id,query\nq1,a\nq1,b\n", "line 3: expected one text of query q1, found 'b' after 'a'"),
        ('query_id,query\nq1,"never closed\nq2,b\n', "line 2: .*found a quote without end"),
        ('{"_id": "q1"}\n', "line 1: expected query_id and query, or body"),
        ('{"_id": "q1", "text": 5}\n', "line 1: expected the text of a query as a string, found 5"),
        ('{"_id": "q1", "body": "{}"}\n', "line 1: expected the body of a search as an object, found '{}'"),
        ('{"_id": true, "text": "a"}\n', "line 1: expected an id as a string or a whole number, found True"),
        ('{"_id": "q1", "text": "a"}\n{"_id": \n', 'line 2: expected {"query_id"'),
        ("<top>\n<num> 1\n</top>\n", "line 1: expected a topic with a number and a title"),
        ("<top>\n", "expected queries .*, found none"),
        ("q\ud800", "expected UTF-8 text"),
    ],
)
def test_what_is_no_query_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "queries"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CollectionError, match=message):
        read_query_file(file)


WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(
    lambda text: text == text.strip() and not text.startswith(("\ufeff", "\x85"))
)


@given(queries=st.dictionaries(WORDS, WORDS, min_size=1))
def test_what_a_spreadsheet_writes_is_read(
    queries: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([("query_id", "query"), *queries.items()])
    file = tmp_path_factory.mktemp("queries") / "queries.csv"
    file.write_bytes(written.getvalue().encode())
    assert {id_: query.text for id_, query in read_query_file(file).items()} == queries
