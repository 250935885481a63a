"""Every setting and what changes when it does."""
