"""A proxy and a prepared index, run for a demo or an evaluation."""
