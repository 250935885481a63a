"""Indices and documents."""
