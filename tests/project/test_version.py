"""One version: pyproject.toml has it, and what cannot read it there agrees."""

import re
import tomllib
from importlib.metadata import version

import yaml

from tests.support.paths import ROOT

VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_the_installed_version_is_that_of_the_checkout() -> None:
    assert version("twinrank") == VERSION


def test_the_chart_has_it() -> None:
    chart = yaml.safe_load((ROOT / "deploy/helm/twinrank/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


def test_every_image_that_is_named_has_it() -> None:
    files = [file for file in (ROOT / "deploy").rglob("*") if file.suffix in {".yml", ".yaml"}]
    named = {found for file in files for found in re.findall(r"image: \S*twinrank:(\d\S*)", file.read_text())}
    assert named == {VERSION}


def test_no_module_has_a_copy_of_it() -> None:
    """Modules ask importlib.metadata."""
    packages = ("indexer", "model_export", "opensearch", "plugin", "reranker")
    files = [file for package in packages for file in (ROOT / package).rglob("*.py")]
    assert files
    assert not [file for file in files if re.search(rf"['\"]{re.escape(VERSION)}['\"]", file.read_text())]
