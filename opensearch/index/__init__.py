"""An index: its `mapping`, what it keeps of documents (`kept_source`), and enabling reranking on it."""
