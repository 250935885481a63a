"""A soak: half an hour of mixed traffic, and what the workers hold meanwhile."""
