"""Where public collections are, for the tests that need real ones."""

import os
from pathlib import Path

import pytest

from tests.support.paths import ROOT

DATA = Path(os.environ.get("TWINRANK_DATA", ROOT / "var" / "data"))
"""A folder with one folder a collection; CONTRIBUTING.md says how to fill it."""


def public_collection(name: str) -> Path:
    """Return the folder of a collection; skip the test if it is not there."""
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no {name} in {DATA}: CONTRIBUTING.md says how to get it")
    return folder
