"""Where things are in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

TESTS = ROOT / "tests"
DOCS = ROOT / "docs"
TINY_BUNDLE = TESTS / "bundles" / "tiny"
"""A bundle of random weights that encodes a text in a tenth of a millisecond."""
