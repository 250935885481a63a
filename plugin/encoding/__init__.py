"""Vectors of queries and documents, encoded in this process, and who may wait for them."""
