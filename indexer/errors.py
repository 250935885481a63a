"""What can go wrong with documents on their way in."""


class DocumentError(Exception):
    """One document cannot be used as it is: says what was expected and what was found."""


class InputError(Exception):
    """The input as a whole breaks off: what was read before it is kept."""
