"""The names of bundles, with and without a version."""

import shutil
from importlib import metadata
from pathlib import Path

import pytest

from reranker.bundle import BUNDLES, DEFAULT_BUNDLE, Bundle
from reranker.bundle_names import GROUP, find_bundle, list_shipped
from reranker.errors import BundleError
from tests.support.paths import TINY_BUNDLE

NAME = DEFAULT_BUNDLE.name


def test_a_name_is_that_of_a_shipped_bundle() -> None:
    assert find_bundle(NAME) == DEFAULT_BUNDLE


def test_the_shipped_bundles_have_versions() -> None:
    assert list_shipped() == [f"{each.name}@1" for each in sorted(BUNDLES.iterdir())]


def test_a_pinned_version_stays_with_the_path() -> None:
    """Each time that the bundle is opened, its version is checked."""
    pinned = find_bundle(f"{NAME}@1")
    assert pinned == DEFAULT_BUNDLE.with_name(f"{NAME}@1")
    assert Bundle.open(pinned).path == DEFAULT_BUNDLE


def test_a_folder_may_be_pinned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(TINY_BUNDLE, tmp_path / "mine")
    assert Bundle.open(find_bundle(tmp_path / "mine@1")).path == tmp_path / "mine"
    monkeypatch.chdir(tmp_path)
    assert Bundle.open(find_bundle("mine@1")).name == "tiny"
    with pytest.raises(BundleError, match="expected version 2 of the bundle mine, found version 1"):
        find_bundle("mine@2")


def test_a_folder_here_goes_before_a_shipped_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TINY_BUNDLE, tmp_path / NAME)
    assert Bundle.open(find_bundle(NAME)).name == "tiny"
    assert Bundle.open(find_bundle(f"{NAME}@1")).name == "tiny"


def test_a_folder_whose_name_has_an_at_sign(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY_BUNDLE, tmp_path / "mine@home"))
    assert find_bundle(folder) == folder
    assert Bundle.open(find_bundle(tmp_path / "mine@home@1")).path == folder


@pytest.mark.parametrize("value", [f"{NAME}@2", f"{NAME}@01", f"{NAME}@1.0"])
def test_a_version_that_is_not_shipped_is_refused_naming_what_there_is(value: str) -> None:
    with pytest.raises(BundleError) as refused:
        find_bundle(value)
    version = value.rpartition("@")[2]
    assert f"expected version {version} of the bundle {NAME}, found version 1." in str(refused.value)
    assert f"Twinrank comes with {', '.join(list_shipped())}" in str(refused.value)


@pytest.mark.parametrize("value", ["nowhere", "nowhere@1", f"{NAME}@", "@1", "", "/nowhere/bundle@1"])
def test_a_bundle_that_is_not_there_is_refused(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match="expected a bundle's folder, or the name of one that comes with"):
        find_bundle(value)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the bundle's folder of a package that is on the path, and that nothing may import."""
    package = tmp_path / "site" / "package_of_bundles"
    shutil.copytree(TINY_BUNDLE, package / "tiny")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    about = tmp_path / "site" / "package_of_bundles-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.4\nName: package-of-bundles\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[twinrank.bundles]\nmany-words = package_of_bundles\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return package / "tiny"


def test_a_name_may_be_that_of_a_bundle_in_an_installed_package(installed: Path) -> None:
    assert find_bundle("many-words") == installed
    assert Bundle.open(find_bundle("many-words@1")).path == installed
    with pytest.raises(BundleError, match="expected version 2 of the bundle many-words, found version 1"):
        find_bundle("many-words@2")


def test_a_folder_here_goes_before_an_installed_package(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(installed, tmp_path / "many-words")
    monkeypatch.chdir(tmp_path)
    assert find_bundle("many-words") == Path("many-words")


def test_a_package_without_its_bundle_is_named(installed: Path) -> None:
    (installed / "manifest.json").unlink()
    with pytest.raises(BundleError, match="many-words in the package package-of-bundles, found none"):
        find_bundle("many-words")


def test_a_bundle_of_a_package_that_is_not_installed_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if list(metadata.entry_points(group=GROUP, name="multilingual")):
        pytest.skip("twinrank-multilingual is installed")
    with pytest.raises(
        BundleError, match=r"no such folder: multilingual\. .*: install twinrank-multilingual "
    ):
        find_bundle("multilingual")
