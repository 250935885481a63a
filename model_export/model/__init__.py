"""TwinBERT in torch: towers, poolings and crossings, each a small module."""
