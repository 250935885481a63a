"""Tests of opensearch/writes/."""
