"""How a document's text is cut into chunks, and the hash that identifies it."""

from dataclasses import dataclass

import xxhash


@dataclass(frozen=True)
class Chunking:
    """How a text longer than the encoder's limit is cut.

    `max_tokens` counts a chunk's tokens with the encoder's special ones. `overlap` counts those that a chunk
    repeats of the one before it, at most half of its text. `max_chunks` limits what one document costs: the
    rest is not encoded.
    """

    max_tokens: int = 256
    overlap: int = 32
    max_chunks: int = 4


def text_hash(text: str, chunking: Chunking) -> int:
    """Return the 64-bit xxh3 hash of a document's text together with its chunk settings.

    Two documents share a hash if they would get the same vectors from the same model, so an unchanged
    text is recognised without encoding it. Lone surrogates, which JSON can carry, are hashed as they are.
    """
    settings = f"{chunking.max_tokens}/{chunking.overlap}/{chunking.max_chunks}\0".encode()
    return xxhash.xxh3_64_intdigest(settings + text.encode("utf-8", "surrogatepass"))


def replace_surrogates(text: str) -> str:
    """Return the text with lone surrogates, which no tokeniser takes, replaced by a question mark."""
    return text.encode("utf-8", "replace").decode()
