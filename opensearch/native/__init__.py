"""Reranking by OpenSearch's own pipelines and connectors."""
