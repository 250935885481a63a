"""Tests of opensearch/rawjson/."""
