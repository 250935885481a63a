"""Connections to OpenSearch."""
