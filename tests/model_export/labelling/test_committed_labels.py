"""The committed label files: small, of sources that may be used, without any query of an evaluation."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.data.examples import join_examples
from model_export.labelling.label_file import MAX_BYTES, hash_query, read_labels
from model_export.labelling.recipe import hash_recipe, read_recipe, read_sources
from tests.support.evaluation_queries import EVALUATED, KEPT_OUT, make_keys, read_keys
from tests.support.paths import ROOT
from tests.support.public_data import public_collection

pytestmark = pytest.mark.export

FOLDER = ROOT / "model_export" / "labels"
FILES = sorted(FOLDER.glob("*.bin"))
RECIPE = read_recipe(ROOT / "model_export" / "configs" / "labels.toml")

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
@pytest.mark.parametrize("name", KEPT_OUT)
def test_no_query_of_an_evaluation_or_of_calibration_is_in_them(file: Path, name: str) -> None:
    assert not np.isin(read_labels(file).queries, read_keys(name)).any()


@pytest.mark.parametrize("name", KEPT_OUT)
def test_the_committed_keys_are_those_of_the_collections(name: str) -> None:
    public_collection(name)
    assert np.array_equal(read_keys(name), make_keys(name)), "python -m tests.support.evaluation_queries"


def test_keys_of_every_evaluation_are_committed() -> None:
    assert {name: len(read_keys(name)) for name in EVALUATED} == {
        "cacm": 64,
        "cranfield": 225,
        "homedepot": 10_070,
        "msmarco_dl21": 53,
        "nfcorpus": 3_216,
        "npl": 93,
        "trecqa": 276,
        "wikiqa": 1_242,
    }


@each_file
def test_every_label_is_of_a_query_of_the_sources(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    data = [public_collection(Path(each.path).parts[2]) for each in RECIPE.sources]
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "data").symlink_to(data[0].resolve().parent)
    monkeypatch.chdir(tmp_path)
    asked = join_examples(read_sources(RECIPE)[0]).queries.values()
    assert np.isin(read_labels(file).queries, [hash_query(text) for text in asked]).all()
