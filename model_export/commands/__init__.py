"""The commands of `twinrank-export`."""
