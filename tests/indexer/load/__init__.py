"""Tests of indexer/load/."""
