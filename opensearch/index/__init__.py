"""An index: its mapping, its documents' source, and enabling reranking on it."""
