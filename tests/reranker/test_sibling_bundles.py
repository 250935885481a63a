"""Bundles that take each other's place: found by name alone, and refused if they read other vectors."""

import shutil
from pathlib import Path

import pytest

from reranker.bundle import BUNDLES, DEFAULT_BUNDLE, Bundle
from reranker.errors import BundleError
from reranker.sibling_bundles import open_sibling
from tests.support.other_bundle import hasty_bundle, other_bundle, prefixed_bundle
from tests.support.paths import TINY_BUNDLE


@pytest.fixture
def own(tmp_path: Path) -> Bundle:
    shutil.copytree(TINY_BUNDLE, tmp_path / "tiny")
    return Bundle.open(tmp_path / "tiny")


def test_a_bundle_beside_the_own_one_is_found_by_its_name(own: Bundle, tmp_path: Path) -> None:
    made = hasty_bundle(tmp_path / "fast")
    assert open_sibling(own, "fast").manifest == made.manifest
    assert open_sibling(own, made.label).manifest == made.manifest
    linked = tmp_path / "elsewhere" / "linked"
    linked.parent.mkdir()
    linked.symlink_to(own.path)
    assert open_sibling(Bundle.open(linked), "fast").manifest == made.manifest


def test_its_own_name_is_the_bundle_itself(own: Bundle) -> None:
    assert open_sibling(own, own.name) is own
    assert open_sibling(own, own.label) is own


@pytest.mark.parametrize("name", sorted(folder.name for folder in BUNDLES.iterdir() if folder.is_dir()))
def test_bundles_that_come_with_twinrank_take_each_others_place(name: str) -> None:
    assert open_sibling(Bundle.open(DEFAULT_BUNDLE), name).name == name


@pytest.mark.parametrize("name", ["none", "..", ".", "", "../tiny", "x/../tiny", "/etc", "tiny@9"])
def test_what_is_no_bundle_of_that_name_is_refused(own: Bundle, name: str) -> None:
    with pytest.raises(BundleError, match="expected"):
        open_sibling(own, name)


def test_a_name_that_is_not_there_is_told_with_those_that_are(own: Bundle) -> None:
    with pytest.raises(BundleError) as raised:
        open_sibling(own, "none")
    assert "expected a bundle beside tiny, or one that comes with Twinrank (bge-small" in str(raised.value)
    assert "found none of the name 'none'" in str(raised.value)


def test_a_bundle_with_other_vectors_is_refused(own: Bundle, tmp_path: Path) -> None:
    stranger = other_bundle(tmp_path / "stranger", "stranger")
    with pytest.raises(BundleError) as raised:
        open_sibling(own, "stranger")
    found = str(raised.value)
    assert f"the document tower of {own.label}" in found
    assert f"vectors of stranger, tag {stranger.model_tag:08x}" in found
    with pytest.raises(BundleError, match="the same stored vectors"):
        open_sibling(own, "bge-small-en-v1.5")


def test_a_bundle_for_other_languages_is_refused(own: Bundle, tmp_path: Path) -> None:
    prefixed_bundle(tmp_path / "german", name="german", languages=["de"])
    with pytest.raises(BundleError, match="expected a bundle for the languages of tiny"):
        open_sibling(own, "german")
