"""Documents in, documents with vectors out, and into OpenSearch."""
