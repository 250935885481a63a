"""Endpoints that OpenSearch does not have: scores, embeddings, reranking of texts."""
