"""What became of the documents of one request, for the header that says so."""

from dataclasses import dataclass, field

_MAX_DIGITS = 18


@dataclass
class Tally:
    """What became of a request's documents.

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


def enriched_header(tally: Tally) -> tuple[str, str]:
    """Return the header that says what became of documents that were only enriched."""
    return "Rerank-Written", f"documents={tally.documents}; encoded={tally.encoded}"


def read_written(header: str) -> dict[str, int]:
    """Read such a header back: name -> count."""
    members = (part.strip().partition("=") for part in header.split(";"))
    return {name: int(count) for name, _, count in members if count.isdecimal() and len(count) < _MAX_DIGITS}


def written_header(tally: Tally) -> tuple[str, str]:
    """Return the header that says what became of a request's documents."""
    reasons = f"; reason={','.join(sorted(tally.reasons))}" if tally.reasons else ""
    return "Rerank-Written", (
        f"documents={tally.documents}; encoded={tally.encoded}; repaired={tally.repaired}; left={tally.left}"
        + reasons
    )
