"""Experiments with users whose preferences are known."""
