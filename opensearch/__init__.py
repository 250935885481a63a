"""Everything that knows OpenSearch's URLs and JSON. Knows nothing of models."""
