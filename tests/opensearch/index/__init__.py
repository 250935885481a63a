"""Tests of opensearch/index/."""
