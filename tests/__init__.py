"""Tests: one file a module, live suites on a real OpenSearch."""
