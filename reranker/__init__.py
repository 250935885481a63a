"""Texts and vectors in, scores out. Knows nothing of HTTP, OpenSearch, the environment or torch."""
