"""What can go wrong between texts and scores."""


class RerankerError(Exception):
    """Root of every error this package raises on purpose."""


class BundleError(RerankerError):
    """A model bundle is missing, incomplete, damaged, or of a form this version cannot read."""


class EncodingError(RerankerError):
    """A model or its tokeniser failed on a text, or gave a vector that is not finite."""


class StoredVectorError(RerankerError):
    """Bytes that are no stored vector of format version 1, or values that cannot be stored as one."""


class ScoresError(RerankerError):
    """First-stage scores that the chosen fusion is not defined for."""


class CombinerError(ScoresError):
    """A combiner's file cannot be used, or a window lacks what it needs."""


class LanguageError(RerankerError):
    """A language tag whose script is not known."""


EXPORT_AGAIN = "Restore the bundle from the release, or export it again: python -m model_export export"
"""What to do about a bundle that cannot be used."""
