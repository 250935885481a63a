"""Tests of opensearch/local/."""
