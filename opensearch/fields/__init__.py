"""The field of vectors in documents and responses."""
