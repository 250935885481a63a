"""The fusion of one search, with the bundle's values for what its settings leave open."""

from dataclasses import dataclass
from typing import Protocol

from opensearch.settings.signals import ResolvedSignal


class FusionDefaults(Protocol):
    """A bundle's own values, which hold for `log_linear` if nothing is set."""

    @property
    def weight(self) -> float:
        """Weight of the crossing."""
        ...

    @property
    def feedback(self) -> float:
        """Weight of a hit's similarity to the feedback documents; 0: none."""
        ...

    @property
    def smoothing(self) -> float:
        """Share of a hit's score that its nearest hits have; 0: none."""
        ...


@dataclass(frozen=True)
class ResolvedFusion:
    """How the scores of one window are combined; `weight` is None if the method has none, or its default."""

    method: str
    weight: float | None
    rank_constant: int
    feedback: float
    smoothing: float
    signals: tuple[ResolvedSignal, ...] = ()
