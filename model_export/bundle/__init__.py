"""Bundles: written, described, and compared with the model that they come from."""
