"""The committed label files: small, of sources that may be used, without any query of an evaluation."""

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.examples import join_examples, read_query_texts
from model_export.data.split import CALIBRATION_SOURCES, is_for_calibration
from model_export.labelling.label_file import MAX_BYTES, hash_query, read_labels
from model_export.labelling.recipe import hash_recipe, read_recipe, read_sources
from tests.support.paths import ROOT
from tests.support.public_data import public_collection

pytestmark = pytest.mark.export

FOLDER = ROOT / "model_export" / "labels"
FILES = sorted(FOLDER.glob("*.bin"))
RECIPE = read_recipe(ROOT / "model_export" / "configs" / "labels.toml")
EVALUATED = ["cacm", "cranfield", "homedepot", "msmarco_dl21", "nfcorpus", "npl", "trecqa", "wikiqa"]

each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def test_they_are_small() -> None:
    sizes = [file.stat().st_size for file in FILES]
    assert all(size <= MAX_BYTES for size in sizes)
    assert sum(sizes) <= 2 * MAX_BYTES
    assert {file.suffix for file in FOLDER.iterdir()} <= {".bin", ".md"}, "scores alone, no texts"


@each_file
def test_they_are_of_the_recipe_and_exclude_the_evaluations(file: Path) -> None:
    header = read_labels(file).header
    assert header.recipe == hash_recipe(RECIPE, header.sources, header.excluded)
    assert [(each.checksum, each.licence) for each in header.sources] == [
        (each.checksum, each.licence) for each in RECIPE.sources
    ]
    pinned = {Path(each.path).name: each.checksum for each in RECIPE.exclude}
    assert {each.name: each.checksum for each in header.excluded} == pinned
    assert pinned.keys() >= set(EVALUATED)


@each_file
@pytest.mark.parametrize("name", EVALUATED)
def test_no_query_of_an_evaluation_is_in_them(file: Path, name: str) -> None:
    keys = set(read_labels(file).queries.tolist())
    assert not [text for text in read_query_texts(public_collection(name)) if hash_query(text) in keys]


@each_file
def test_no_query_of_calibration_is_in_them(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = set(read_labels(file).queries.tolist())
    for name in CALIBRATION_SOURCES:
        texts = read_query_texts(public_collection(name))
        kept_out = [text for text in texts if is_for_calibration(name, text)]
        assert len(kept_out) > 0.15 * len(texts)
        assert not [text for text in kept_out if hash_query(text) in keys]
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "data").symlink_to(public_collection("nq_dev").resolve().parent)
    monkeypatch.chdir(tmp_path)
    asked = join_examples(read_sources(RECIPE)[0]).queries.values()
    assert keys <= {hash_query(text) for text in asked}
