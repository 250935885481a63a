"""Indices filled, followed, migrated and verified."""
