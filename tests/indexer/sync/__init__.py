"""Tests of indexer/sync/."""
