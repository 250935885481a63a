"""Settings in mappings, followed while they change."""
