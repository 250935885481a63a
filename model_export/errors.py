"""What can go wrong between data, training, an encoder and a bundle."""


class ExportError(Exception):
    """The base cannot be had, a graph is not as asked, or the export is too far from its base."""


class TrainingError(ExportError):
    """Configuration or data that nothing can be learned from, or a training that went wrong."""
