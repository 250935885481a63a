"""Experiments: which arm a search has, how two orders share a page, and what the clicks say about them."""
