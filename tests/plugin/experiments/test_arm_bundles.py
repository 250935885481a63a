"""Bundles that arms name: what is refused before an experiment starts, and what settings are told of."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from opensearch.index.settings_report import SettingsReport
from opensearch.settings.layers import effective_settings
from opensearch.settings.table import RerankSettings, SettingsError
from opensearch.settings.validation import parse_settings
from plugin.experiments.arm_bundles import add_bundle_problems, check_arm_bundles
from reranker.bundle import Bundle
from tests.support.other_bundle import other_bundle, prefixed_bundle
from tests.support.paths import TINY_BUNDLE

PLACE = "_meta.rerank.experiment.arms.b.bundle: "


@pytest.fixture
def own(tmp_path: Path) -> Bundle:
    shutil.copytree(TINY_BUNDLE, tmp_path / "tiny")
    prefixed_bundle(tmp_path / "prefixed")
    other_bundle(tmp_path / "stranger", "stranger")
    return Bundle.open(tmp_path / "tiny")


def with_bundle(bundle: str, model: str = "tiny") -> tuple[dict[str, Any], RerankSettings]:
    arms = {"control": {}, "b": {"bundle": bundle}}
    rerank = {"model": model, "source_fields": ["t"], "experiment": {"name": "a", "arms": arms}}
    return rerank, parse_settings(rerank)


@pytest.mark.parametrize("name", ["prefixed", "tiny", "prefixed@1"])
def test_a_bundle_over_the_same_vectors_is_taken(own: Bundle, name: str) -> None:
    check_arm_bundles(with_bundle(name)[1], own)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("stranger", "the same stored vectors"),
        ("none", "found none of the name 'none'"),
        ("prefixed@2", "expected version 2, found version 1"),
    ],
)
def test_another_bundle_is_refused_and_settings_say_so(own: Bundle, name: str, found: str) -> None:
    rerank, settings = with_bundle(name)
    with pytest.raises(SettingsError) as raised:
        check_arm_bundles(settings, own)
    assert str(raised.value).startswith(PLACE)
    assert found in str(raised.value)
    report = SettingsReport("books", tuple(effective_settings(settings, rerank, {}, {})), (), ())
    (told,) = add_bundle_problems([report], own)
    assert [each for each in told.problems if found in each and each.startswith("experiment.arms.b.bundle: ")]


def test_an_index_of_another_model_needs_the_proxys_bundle(own: Bundle) -> None:
    with pytest.raises(SettingsError, match="model another, found tiny"):
        check_arm_bundles(with_bundle("prefixed", "another")[1], own)


def test_settings_without_bundles_have_no_such_problem(own: Bundle) -> None:
    settings = parse_settings({"model": "tiny", "source_fields": ["t"]})
    report = SettingsReport("books", tuple(effective_settings(settings, {}, {}, {})), ("wrong",), ())
    assert add_bundle_problems([report, SettingsReport("b", (), (), ())], own)[0].problems == ("wrong",)
    assert add_bundle_problems([report], None) == [report]
