"""Tests of indexer/writes/."""
