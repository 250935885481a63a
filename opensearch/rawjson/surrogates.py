"""Lone surrogates in JSON, escapes of half a character: OpenSearch keeps them, strict readers refuse them.

They are swapped for escapes of equal length that are nowhere else in the text, and swapped back afterwards.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = rb"u[dD][89a-fA-F][0-9a-fA-F]{2}"
_ESCAPES = re.compile(rb"\\(?:" + _PAIR + rb"|(" + _LONE + rb")|.)", re.DOTALL)
_PRIVATE_USE = range(0xE000, 0xF900)


@dataclass(frozen=True)
class SwappedText:
    """A JSON text without lone surrogates: `restore` returns any part of it as it was."""

    text: bytes
    originals: Mapping[bytes, bytes]

    def restore(self, part: bytes) -> bytes:
        """Return a part of the text with its lone surrogates."""
        for escape, original in self.originals.items():
            part = part.replace(escape, original)
        return part


def swap_surrogates(text: bytes) -> SwappedText | None:
    """Swap the lone surrogates of a JSON text; None if it has none, or if no escape is free."""
    found = {match[1] for match in _ESCAPES.finditer(text) if match[1]}
    lower = text.lower()
    free = (escape for code in _PRIVATE_USE if (escape := b"\\u%04x" % code) not in lower)
    escapes = dict(zip(sorted(found), free, strict=False))
    if not found or len(escapes) < len(found):
        return None
    plain = _ESCAPES.sub(lambda match: escapes[match[1]] if match[1] else match[0], text)
    return SwappedText(plain, {escape: b"\\" + original for original, escape in escapes.items()})
