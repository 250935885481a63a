"""Bundles that tests use, and how they are made."""
