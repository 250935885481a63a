"""Errors of data, training, encoders and bundles."""


class ExportError(Exception):
    """A base cannot be loaded, a graph is not as expected, or an export differs too much from its base."""


class TrainingError(ExportError):
    """A configuration or data cannot be used for training, or a training failed."""
