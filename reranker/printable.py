"""Replace characters that an output's encoding lacks, so that no command fails because of them."""

import codecs
import io
import unicodedata
from typing import TextIO

ERRORS = "twinrank-printable"
"""The name of the error handler that replaces characters."""

_PLAIN = str.maketrans({
    "“": '"', "”": '"', "„": '"', "\u2018": "'", "\u2019": "'", "…": "...", "\u2013": "-", "—": "-",
    "→": "->", "←": "<-", "↑": "^", "↓": "v", "\u00d7": "x", "·": ".", "•": "*", "─": "-", "━": "-", "►": ">",
    "\u00a0": " ", "ß": "ss",
})  # fmt: skip
"""The characters that Twinrank prints, and their equals in ASCII; letters lose their accents."""


def make_printable(*streams: TextIO) -> None:
    """Let text streams replace what their encoding lacks: `“` by `"`, `é` by `e`, `漢` by `??`.

    A character that is two columns wide becomes two, so that tables stay in line. A stream of another kind is
    left as it is.
    """
    codecs.register_error(ERRORS, _replace)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that cannot be encoded, as a handler of Python's codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    failed = error.object[error.start : error.end]
    return "".join(_to_ascii(character) for character in failed), error.end


def _to_ascii(character: str) -> str:
    """Return ASCII for one character."""
    known = character.translate(_PLAIN)
    bare = unicodedata.normalize("NFKD", known).encode("ascii", "ignore").decode()
    if bare or unicodedata.combining(character):
        return bare
    return "??" if unicodedata.east_asian_width(character) in "WF" else "?"
