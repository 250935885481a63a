"""The fusion of one search, with the bundle's values for what its settings leave open."""

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from msgspec import Meta

from opensearch.settings.group import SettingsGroup
from opensearch.settings.signals import ResolvedSignal, SignalSettings

_AS_SET = "As the setting of that name."


class FusionControls(SettingsGroup, frozen=True, omit_defaults=True):
    """What differs from an index's fusion, for one search or for one arm of an experiment."""

    method: Annotated[
        Literal["log_linear", "weighted", "rrf", "none", "combiner"] | None,
        Meta(description="As the setting; with another method the index's weight does not apply."),
    ] = None
    weight: Annotated[Annotated[float, Meta(ge=0, le=40)] | None, Meta(description=_AS_SET)] = None
    rank_constant: Annotated[Annotated[int, Meta(ge=1, le=10_000)] | None, Meta(description=_AS_SET)] = None
    feedback: Annotated[Annotated[float, Meta(ge=0, le=2)] | None, Meta(description=_AS_SET)] = None
    smoothing: Annotated[Annotated[float, Meta(ge=0, le=1)] | None, Meta(description=_AS_SET)] = None
    signals: Annotated[tuple[SignalSettings, ...] | None, Meta(description=_AS_SET)] = None
    combiner: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None, Meta(description=_AS_SET)
    ] = None


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
    """How the scores of one window are combined; `weight` is None if the method has none, or its default.

    `combiner` is the name of a learned one, for the method of that name.
    """

    method: str
    weight: float | None
    rank_constant: int
    feedback: float
    smoothing: float
    signals: tuple[ResolvedSignal, ...] = ()
    combiner: str | None = None
