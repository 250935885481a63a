"""Tests of indexer/."""
