"""Tests of opensearch/fields/."""
