"""The settings of reranking, as index mappings hold them."""
