"""Requests that are OpenSearch's alone."""
