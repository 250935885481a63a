"""Errors of documents and input files."""


class DocumentError(Exception):
    """One document cannot be used as it is; the message says what was expected and what was found."""


class InputError(Exception):
    """The input breaks off or cannot be read; what was read before is kept."""
