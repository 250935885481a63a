"""Tests of opensearch/native/."""
