"""A training's configuration: what is refused, and data shared between two."""

from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytest.importorskip("torch", reason="needs torch: the export extra")

from model_export.datasets.catalogue import read_catalogue
from model_export.errors import TrainingError
from model_export.train.config import read_config, read_teacher_config

pytestmark = pytest.mark.export

WHOLE = """
[model]
name = 'x'
licence = 'MIT'
[distil]
objective = 'align'
[data]
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "missing required field `model`"),
        ("not toml", "Expected '='"),
        ("[model]\nnaem = 1", "unknown field `naem`"),
    ],
)
def test_a_wrong_configuration_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "c.toml").write_text(content)
    with pytest.raises(TrainingError, match=f"expected a configuration in .*{message}"):
        read_config(tmp_path / "c.toml")


def test_a_configuration_may_go_on_from_anothers_data(tmp_path: Path) -> None:
    source = "[[data.train]]\nkind = 'texts'\nlicence = 'MIT'\npath = "
    (tmp_path / "first.toml").write_text(f"{WHOLE}exclude = ['a']\n{source}'one'")
    (tmp_path / "second.toml").write_text(f"{WHOLE}like = 'first.toml'\nexclude = ['b']\n{source}'two'")
    data = read_config(tmp_path / "second.toml").data
    assert ([each.path for each in data.train], data.exclude) == (["one", "two"], ("a", "b"))
    (tmp_path / "third.toml").write_text(f"{WHOLE}like = 'second.toml'\n")
    assert read_config(tmp_path / "third.toml").data == data
    (tmp_path / "first.toml").write_text(f"{WHOLE}like = 'third.toml'\n")
    with pytest.raises(TrainingError, match=r"with sources of its own, found .*third.toml like itself"):
        read_config(tmp_path / "third.toml")


def test_a_configuration_without_sources_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(WHOLE)
    with pytest.raises(TrainingError, match=r"expected sources in data.train of .*c.toml, found none"):
        read_config(tmp_path / "c.toml")


RECIPE = "bundle = 'x'\n[[sources]]\nkind = 'pairs'\nlicence = 'MIT'\npath = 'one'"
LABELLED = """
[model]
name = 'x'
licence = 'MIT'
[teacher]
labels = 'labels.bin'
recipe = '{recipe}'
"""


def test_the_recipe_of_labels_names_the_sources(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE)
    text = LABELLED.format(recipe=tmp_path / "r.toml")
    scored = "[distil]\nobjective = 'listwise_kl'\n"
    (tmp_path / "c.toml").write_text(f"{text}[data]\n{scored}")
    assert [each.path for each in read_config(tmp_path / "c.toml").data.train] == ["one"]
    source = "[[data.train]]\nkind = 'texts'\nlicence = 'MIT'\npath = 'two'\n"
    for content, message in (
        (f"{text}{source}{scored}", "expected no sources in data.train"),
        (f"{text}[data]\nlike = 'other.toml'\n{scored}", "expected no sources in data.train"),
        (f"{text}[data]\n[distil]\nobjective = 'align'", "expected an objective over scores"),
        (f"{text}[data]\n{scored}rounds = 2", "one round"),
        (f"{text}[data]\n{scored}student_negatives = 2", "no student_negatives"),
        (
            f"{text}[data]\n{scored}".replace("labels =", "encoders = ['y']\n#"),
            "expected labels and their recipe",
        ),
    ):
        (tmp_path / "c.toml").write_text(content)
        with pytest.raises(TrainingError, match=message):
            read_config(tmp_path / "c.toml")


CONFIGS = sorted(
    file for file in (ROOT / "model_export" / "configs").glob("*.toml") if not file.stem.endswith("labels")
)
"""All but the recipes of labels, which have a test of their own."""
BY_HAND = {name for name, dataset in read_catalogue().items() if not dataset.is_automatic}
"""The small configurations do without collections that need work by hand, and measure on none of them."""


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_the_shipped_configurations_are_whole(file: Path) -> None:
    data = (read_teacher_config(file) if file.stem == "teacher" else read_config(file)).data
    assert not {Path(each.path).name for each in data.train} & {Path(each).name for each in data.exclude}
    evaluated = {"cranfield", "nfcorpus", "msmarco_dl21", "npl", "cacm", "homedepot", "wikiqa", "trecqa"}
    if file.stem.startswith("small_"):
        evaluated -= BY_HAND
    assert evaluated <= {Path(each).name for each in data.exclude}
