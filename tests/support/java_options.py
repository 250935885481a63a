"""Java options of the servers that tests start."""

QUICK_START = ("-XX:TieredStopAtLevel=1",)
"""Halves the processor time of a start; a server that is measured must not have it."""
