"""Requests as bytes, and servers between client and OpenSearch."""
