"""Tests of opensearch/query/."""
