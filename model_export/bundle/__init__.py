"""Bundles: writing them, describing them, and comparing them with their base."""
