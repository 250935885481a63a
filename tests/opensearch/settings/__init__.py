"""Tests of opensearch/settings/."""
