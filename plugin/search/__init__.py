"""A search: planned, executed, reranked, and explained."""
