"""Writes through the proxy, and what they leave in OpenSearch."""
