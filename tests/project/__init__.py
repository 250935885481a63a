"""Conventions of the project itself: arrows between packages, documents, make, checks."""
