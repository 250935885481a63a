"""Tests of behaviour that needs a server: an OpenSearch, a proxy in front, or both."""
