"""A CSV of clicks becomes a bundle with the same document tower, compared on queries that it never saw."""

import csv
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.__main__ import main
from model_export.data.collection import load_collection
from model_export.data.examples import read_source
from model_export.data.sources import Source
from reranker.bundle import Bundle
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import TINY_BUNDLE

pytestmark = pytest.mark.export


def write_clicks(file: Path, collection: Path) -> None:
    """Write clicks on a query's relevant document, and impressions of others, named by ids."""
    data, chosen = load_collection(collection), random.Random(4)
    with file.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["query", "document", "impressions", "clicks"])
        for query, text in data.queries.items():
            [relevant] = data.qrels[query]
            for document in {relevant, *chosen.sample(sorted(data.documents), 5)}:
                rows.writerow([text, document, 50, 20 if document == relevant else 1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clicks")
    write_small_collection(folder / "stdlib", num_documents=160, num_queries=160)
    write_clicks(folder / "clicks.csv", folder / "stdlib")
    return folder


def train(folder: Path, *arguments: object) -> Result:
    where = ("--out", folder / "out", "--bundle", TINY_BUNDLE, "--epochs", 1)
    documents = ("--documents", folder / "stdlib" / "corpus.jsonl.gz")
    return CliRunner().invoke(main, list(map(str, ("train", *arguments, *where, *documents))))


def test_a_bundle_is_made_and_compared(folder: Path) -> None:
    done = train(folder, folder / "clicks.csv")
    assert done.exit_code == 0, done.output
    made, before = Bundle.open(folder / "out" / "my-clicks"), Bundle.open(TINY_BUNDLE)
    assert (made.model_tag, made.vectors_of, made.name) == (before.model_tag, before.name, "my-clicks")
    assert made.manifest.fusion == before.manifest.fusion
    assert "95 % interval" in done.output
    assert f"Go back at any time: twinrank serve --bundle {before.name}" in done.output
    again = train(folder, folder / "clicks.csv")
    assert "remove it, or give another --name" in again.output


def test_held_back_queries_are_not_learned_from(folder: Path) -> None:
    held_back = set(load_collection(folder / "out" / "held-back").queries.values())
    learned = read_source(Source("clicks", str(folder / "out" / "clicks.tsv"), "CC0"))
    assert 15 <= len(held_back) <= 50
    assert held_back.isdisjoint(learned.queries.values())
    assert len(held_back) + len(learned.queries) == 160


def test_few_clicks_are_refused(folder: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("".join((folder / "clicks.csv").read_text().splitlines(keepends=True)[:200]))
    done = train(folder, few, "--name", "few")
    assert done.exit_code != 0
    assert "expected at least 100 queries with a click" in done.output
