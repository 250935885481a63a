"""Queries, and what their answers have to be."""
