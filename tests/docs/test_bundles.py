"""The page on bundles: its keys are the manifest's, and its sizes those of the bundles that come along."""

import re
from pathlib import Path

import pytest

from reranker.bundle import BUNDLES, Bundle
from reranker.bundle_sizes import measure_sizes
from reranker.manifest import Manifest
from tests.support.paths import DOCS

PAGE = (DOCS / "reference" / "bundles.md").read_text()


def test_it_has_every_key_of_the_manifest() -> None:
    table = PAGE.partition("## The manifest")[2].partition("\n## ")[0]
    keys = [key for row in re.findall(r"^\| (`.*?) \|", table, re.M) for key in re.findall(r"`(\w+)`", row)]
    assert sorted(keys) == sorted(Manifest.__struct_fields__)


@pytest.mark.parametrize("folder", sorted(BUNDLES.iterdir()), ids=lambda folder: folder.name)
def test_its_sizes_are_the_bundles(folder: Path) -> None:
    bundle = Bundle.open(folder)
    own, others = measure_sizes(bundle)
    row = f"| `{bundle.name}` | {own / 1e6:.1f} MB | {(own + sum(others.values())) / 1e6:.1f} MB |"
    assert row in PAGE
