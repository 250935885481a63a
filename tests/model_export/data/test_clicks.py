"""Clicks are read as spreadsheets and databases write them."""

from pathlib import Path

import pytest

from model_export.data.clicks import ClickedDocument, read_clicks, read_documents
from model_export.errors import TrainingError


def written(folder: Path, text: str, name: str = "clicks.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_columns_may_have_any_order_and_others_between_them(tmp_path: Path) -> None:
    text = (
        'impressions,day,query,clicks,document\n40,1,"shoes, red",3,a\n60,2,"shoes, red",2,a\n9,1,hat,0,b\n'
    )
    assert read_clicks(written(tmp_path, text)) == [
        ClickedDocument("shoes, red", "a", 5, 100),
        ClickedDocument("hat", "b", 0, 9),
    ]


def test_ids_are_replaced_by_texts_and_unknown_ones_left_out(tmp_path: Path) -> None:
    lines = '{"_id": "1", "title": "Red shoes", "price": 9, "text": "of leather"}\n{"id": 2, "name": "hat"}\n'
    documents = read_documents(written(tmp_path, lines, "articles.jsonl"))
    assert documents == {"1": "Red shoes\nof leather", "2": "hat"}
    rows = "query\tdocument\tclicks\timpressions\nq\t1\t1\t2\nq\t7\t1\t2\n"
    found = read_clicks(written(tmp_path, rows, "clicks.tsv"), documents)
    assert found == [ClickedDocument("q", "Red shoes\nof leather", 1, 2)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,document,clicks\nq,d,1\n", "expected the columns query, document, clicks, impressions"),
        ("query,document,clicks,impressions\nq,d,1\n", "row 2: expected 4 cells, found 3"),
        ("query,document,clicks,impressions\nq,d,3,2\n", "found '2' and '3'"),
        ("query,document,clicks,impressions\nq,d,many,2\n", "found '2' and 'many'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        read_clicks(written(tmp_path, text))


def test_a_document_needs_an_id(tmp_path: Path) -> None:
    for line in ('{"title": "x"}', "[1]", "x"):
        with pytest.raises(TrainingError, match="line 1"):
            read_documents(written(tmp_path, line + "\n"))
