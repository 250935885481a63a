"""Tests of opensearch/."""
