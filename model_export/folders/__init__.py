"""Model folders as people download them: read, checked, and made into a base."""
