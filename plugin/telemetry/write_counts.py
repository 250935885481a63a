"""Counts of the documents that one request writes, and the `Rerank-Written` header that reports them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from plugin.http.headers import Headers


@dataclass
class WriteCounts:
    """How many documents a request wrote, with and without vectors.

    Attributes:
        documents: operations on indices with settings.
        encoded: texts that were encoded.
        repaired: documents that were written again, with the vector that fits.
        left: documents without a current vector.
        reasons: why some are left: `source`, `append_only` or `not_found`.
    """

    documents: int = 0
    encoded: int = 0
    repaired: int = 0
    left: int = 0
    reasons: set[str] = field(default_factory=set)

    def by_name(self) -> Mapping[str, int]:
        """Return the counts by name."""
        return {name: getattr(self, name) for name in ("documents", "encoded", "repaired", "left")}

    def headers(self) -> Headers:
        """Return the header for documents that were written."""
        made = "; ".join(f"{name}={count}" for name, count in self.by_name().items())
        reasons = f"; reason={','.join(sorted(self.reasons))}" if self.reasons else ""
        return (("Rerank-Written", made + reasons),)


@dataclass(frozen=True)
class EnrichCounts:
    """How many documents were given vectors and not written."""

    documents: int
    encoded: int

    def by_name(self) -> Mapping[str, int]:
        """Return the counts by name."""
        return {"documents": self.documents, "encoded": self.encoded}

    def headers(self) -> Headers:
        """Return the header for documents that were enriched and not written."""
        return (("Rerank-Written", f"documents={self.documents}; encoded={self.encoded}"),)
