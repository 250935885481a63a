"""Searches through the proxy, beside the same ones sent directly to OpenSearch."""
