"""What can go wrong between a base encoder and a bundle."""


class ExportError(Exception):
    """The base cannot be had, a graph is not as asked, or the export is too far from its base."""
