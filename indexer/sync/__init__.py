"""Indices followed: documents without a current vector are found and written."""
