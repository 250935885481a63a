"""The commands of `twinrank`, a module each."""
