"""Counts of the documents that one request writes, and the `Rerank-Written` header that reports them."""

from dataclasses import dataclass, field

_MAX_DIGITS = 18


@dataclass
class WriteCounts:
    """How many documents a request wrote, with and without vectors.

    Attributes:
        documents: operations on indices with settings.
        encoded: texts that were encoded.
        repaired: documents that were written once more, with the vector that fits.
        left: documents without a current vector.
        reasons: why some are left: `source`, `append_only` or `not_found`.
    """

    documents: int = 0
    encoded: int = 0
    repaired: int = 0
    left: int = 0
    reasons: set[str] = field(default_factory=set)


def enriched_header(counts: WriteCounts) -> tuple[str, str]:
    """Return the header for documents that were enriched and not written."""
    return "Rerank-Written", f"documents={counts.documents}; encoded={counts.encoded}"


def read_written(header: str) -> dict[str, int]:
    """Read such a header back: name -> count."""
    members = (part.strip().partition("=") for part in header.split(";"))
    return {name: int(count) for name, _, count in members if count.isdecimal() and len(count) < _MAX_DIGITS}


def written_header(counts: WriteCounts) -> tuple[str, str]:
    """Return the header for documents that were written."""
    made = f"documents={counts.documents}; encoded={counts.encoded}"
    later = f"repaired={counts.repaired}; left={counts.left}"
    reasons = f"; reason={','.join(sorted(counts.reasons))}" if counts.reasons else ""
    return "Rerank-Written", f"{made}; {later}{reasons}"
