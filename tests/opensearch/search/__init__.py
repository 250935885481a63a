"""Tests of opensearch/search/."""
