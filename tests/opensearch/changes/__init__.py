"""Tests of opensearch/changes/."""
