"""Judged queries: measured, reported, and settings tuned by them."""
