"""`twinrank-export score` on judged collections: quality with intervals, times, and going on."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import load_collection
from model_export.evaluation.teacher_table import TeacherTable, measure_teacher
from model_export.train.teacher import Pair
from reranker.arrays import Floats
from reranker.bundle import Bundle
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import TINY_BUNDLE
from tests.support.small_cross_encoder import write_small_cross_encoder

pytestmark = pytest.mark.export

QUERIES = 30
SUMMARY = 5
"""Rows of the first table: head, line, BM25, a bundle, the teacher."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_collection(
        tmp_path_factory.mktemp("data") / "stdlib", num_documents=120, num_queries=QUERIES
    )


def score(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["score", *map(str, arguments)])


def rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")
    ]


def test_the_tables_are_printed_written_and_resumed(data: Path, tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "small-teacher")
    document, out = tmp_path / "models.md", tmp_path / "out"
    document.write_text("# Models\n<!-- teacher: begin -->\n<!-- teacher: end -->\nrest\n")
    options = ["--cross-encoder", folder, "--judged", data, "--bundle", TINY_BUNDLE, "--out", out]
    options += ["--document", document, "--rounds", 1]
    done = score(*options)
    assert done.exit_code == 0, done.output
    assert "rest" in document.read_text()
    assert rows(document.read_text()) == [], "without --write nothing is written"
    whole = rows(done.output)
    assert [row[0] for row in whole[:5]] == ["", "---", "BM25", "tiny as shipped", "small-teacher"]
    assert whole[2][3] == whole[2][5] == "", "BM25 has no gain over itself and no time"
    assert float(whole[4][5].replace(",", "")) > float(whole[3][5]), "reading pairs costs more than vectors"
    found = whole[SUMMARY:]
    assert found[0] == ["", "BM25", "tiny as shipped", "small-teacher"]
    assert found[2][0] == f"stdlib ({QUERIES})"
    assert found[3][0] == "mean"
    assert found[4] == ["", "BM25", "small-teacher", "the teacher is"]
    assert re.fullmatch(r"[+-]0\.\d{3} \([+-]0\.\d{3} to [+-]0\.\d{3}\)", found[6][2])
    assert found[6][3] in ("better", "worse", "neither")
    assert found[8] == ["", "tiny as shipped", "small-teacher"]
    with closing(sqlite3.connect(out / "teacher.sqlite")) as database:
        count = database.execute("SELECT count(*) FROM scores").fetchone()
        database.execute("UPDATE scores SET score = -score")
        database.commit()
    readme = tmp_path / "README.md"
    readme.write_text("<!-- cost: begin -->\n<!-- cost: end -->\n")
    again = score(*options, "--write", "--summary", readme)
    assert again.exit_code == 0, again.output
    written = rows(document.read_text())
    short = rows(readme.read_text())
    assert [row[0] for row in short] == [row[0] for row in whole[:SUMMARY]]
    assert written[2][1:3] == found[2][1:3]
    assert written[2][3] != found[2][3], "the scores of the first run were read, not computed again"
    with closing(sqlite3.connect(out / "teacher.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM scores").fetchone() == count


def test_the_teacher_of_a_configuration_is_measured(data: Path, tmp_path: Path) -> None:
    folder = write_small_cross_encoder(tmp_path / "teacher")
    config = tmp_path / "m.toml"
    config.write_text(
        '[model]\nname = "m"\nlicence = "MIT"\n[distil]\nobjective = "margin_mse"\n'
        f'[[data.train]]\nkind = "beir"\npath = "{data}"\nlicence = "PSF-2.0"\n[data]\ndev_share = 0.4\n'
        f'[teacher]\ncross_encoders = ["{folder}"]\nmax_tokens = 64\nint8 = true\n'
    )
    done = score(config, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert re.search(r"development nDCG@10: BM25 0\.\d{4}, teacher 0\.\d{4}", done.output)
    other = write_small_cross_encoder(tmp_path / "other", scale=-1.0)
    flipped = score(config, "--cross-encoder", other, "--out", tmp_path / "out")
    assert flipped.exit_code == 0, flipped.output
    assert flipped.output.split("teacher")[-1] != done.output.split("teacher")[-1]
    table = score(config, "--judged", data, "--bundle", TINY_BUNDLE, "--rounds", 1, "--out", tmp_path / "out")
    assert table.exit_code == 0, table.output
    assert rows(table.output)[SUMMARY] == ["", "BM25", "tiny as shipped", "teacher"]


def test_what_is_missing_is_said(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "give CONFIG, or --cross-encoder and --judged" in score("--out", out).output
    assert "give CONFIG, or" in score("--cross-encoder", tmp_path, "--out", out).output
    done = score("--cross-encoder", tmp_path, "--judged", data, "--out", out)
    assert done.exit_code == 1
    assert "expected a cross-encoder in" in done.output
    (tmp_path / "file").write_text("")
    folder = write_small_cross_encoder(tmp_path / "teacher")
    done = score("--cross-encoder", folder, "--judged", data, "--out", tmp_path / "file" / "out")
    assert done.exit_code == 1
    assert "Error: expected" in done.output
    assert "Not a directory" in done.output


class Knowing:
    """A teacher that knows which document each query was made from, or prefers all others."""

    digest = "knowing"

    def __init__(self, relevant: set[Pair], sign: float) -> None:
        self._relevant = relevant
        self.digest = f"knowing {sign}"
        self._sign = sign

    def score_pairs(self, pairs: list[Pair]) -> Floats:
        return self._sign * np.array([pair in self._relevant for pair in pairs], np.float32)


@pytest.mark.parametrize(("sign", "judged"), [(1.0, "better"), (-1.0, "worse")])
def test_better_and_worse_follow_the_interval(data: Path, tmp_path: Path, sign: float, judged: str) -> None:
    collection = load_collection(data)
    relevant = {
        (collection.queries[query], collection.documents[document])
        for query, grades in collection.qrels.items()
        for document in grades
    }
    said: list[str] = []
    table = measure_teacher(
        "knowing",
        Knowing(relevant, sign),  # type: ignore[arg-type]  # its lists are our sequences
        [Bundle.open(TINY_BUNDLE)],
        [collection],
        tmp_path,
        rounds=1,
        say=said.append,
    )
    assert isinstance(table, TeacherTable)
    text = "\n".join(table.format())
    assert rows(text)[6][-1] == judged
    summary = "\n".join(table.format_summary())
    assert rows(summary)[-1][3] == ("100 %" if judged == "better" else "")
    assert (": stdlib." if judged == "better" else ": no collection.") in summary
    named = "stdlib" if judged == "worse" else "no collection"
    assert f"The teacher is worse than tiny as shipped on {named}." in text
    assert said[0].startswith("stdlib: BM25 0.")
