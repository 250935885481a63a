"""The bundle multilingual-e5-small, as data: Twinrank finds its folder by the entry point."""
