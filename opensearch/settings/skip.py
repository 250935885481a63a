"""Why a search is not reranked."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Skip:
    """The search is passed through; `reason` is what `Rerank-Status` says."""

    reason: str
