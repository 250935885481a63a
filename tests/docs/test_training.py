"""The commands of docs/how-to/training.md, "The whole way", on small collections and a small teacher."""

import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.labelling.recipe import Recipe, read_recipe
from reranker.bundle import BUNDLES, Bundle
from tests.support.docs_commands import DocsShell, command_blocks, put_command_on_path
from tests.support.indices.small_collection import write_small_collection
from tests.support.paths import ROOT
from tests.support.small_cross_encoder import write_small_cross_encoder

pytestmark = pytest.mark.export

CONFIGS = Path("model_export/configs")
NO_OPENSEARCH = "http://127.0.0.1:9"
FEWER = {"--queries 2000": "--queries 96", "--queries 100": "--queries 20"}
TEACHER = Path("var/ms-marco-MiniLM-L-12-v2")
MADE = ("small-tower", "small-crossing")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> DocsShell:
    """Return a shell in a folder like a clone's, with another collection for each that the recipe names."""
    folder = tmp_path_factory.mktemp("clone")
    put_command_on_path(folder, "twinrank-export", "model_export")
    (folder / "reranker").mkdir()
    (folder / "reranker" / "bundles").symlink_to(BUNDLES)
    recipe = copy_configs(folder)
    paths = [*(each.path for each in recipe.sources), *(each.path for each in recipe.exclude)]
    for number, path in enumerate(paths):
        write_small_collection(folder / path, num_documents=140 - number, num_queries=100 - number)
    write_small_cross_encoder(folder / TEACHER)
    return DocsShell(folder, NO_OPENSEARCH, FEWER)


def copy_configs(folder: Path) -> Recipe:
    """Copy the configurations into a folder, without the checksums of collections; return the recipe."""
    shutil.copytree(ROOT / CONFIGS, folder / CONFIGS)
    file = folder / CONFIGS / "small_labels.toml"
    file.write_text(re.sub(r"^checksum = .*\n", "", file.read_text(), flags=re.MULTILINE))
    return read_recipe(file)


@pytest.fixture(scope="module")
def trained(shell: DocsShell) -> DocsShell:
    """Run the page up to both trainings."""
    blocks = command_blocks("how-to/training.md")
    assert str(TEACHER) in blocks["teacher"]
    assert "96 queries of 16 candidates" in shell.run(blocks["labels"])
    assert shell.run(blocks["train"]).count("before training") == 2
    return shell


def test_a_tower_and_a_crossing_learn_from_labels(trained: DocsShell) -> None:
    for name in MADE:
        assert (trained.folder / "var" / name / "model").is_dir()


def test_they_are_exported_and_measured(request: pytest.FixtureRequest, *, is_long: bool) -> None:
    if not is_long:
        pytest.skip("two exports and their figures take minutes: with --long")
    shell: DocsShell = request.getfixturevalue("trained")
    blocks = command_blocks("how-to/training.md")
    shell.run(blocks["export"])
    default = Bundle.open(BUNDLES / "bge-small-en-v1.5")
    for name in MADE:
        made = Bundle.open(shell.folder / "var" / "bundles" / name)
        assert made.model_tag == default.model_tag
        assert "nq_dev (CC BY-SA 3.0)" in made.manifest.trained_on
    figures = shell.run(blocks["evaluate"])
    assert all(f"bge-small-en-v1.5-{name}" in figures for name in MADE)
