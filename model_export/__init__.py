"""Offline: turn a trained encoder into a model bundle and compare it with the original."""
