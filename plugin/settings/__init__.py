"""The settings of each index, followed while they change."""
