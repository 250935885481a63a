"""The fusion of scores: as an index sets it, as a search changes it, and with a bundle's values filled in."""

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from opensearch.settings.group import SettingsGroup
from opensearch.settings.signals import ResolvedSignal, SignalSettings, resolve_signals

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


class FusionSettings(SettingsGroup, frozen=True):
    """How first-stage and crossing scores are combined."""

    method: Annotated[
        Literal["log_linear", "weighted", "rrf", "none", "combiner"],
        Meta(
            description="`log_linear`: first-stage score x exp(weight x crossing); `weighted`: both scaled to"
            " 0 to 1 over the window, weight being the crossing's share; `rrf`: the sum of 1 / (rank_constant"
            " + rank) in both orders; `none`: crossing alone; `combiner`: a learned function of each hit's"
            " [features](features.md)."
        ),
    ] = "log_linear"
    weight: Annotated[
        Annotated[float, Meta(ge=0, le=40)] | None,
        Meta(
            description="Weight of the crossing; unset: the bundle's own, or 0.9 for `weighted`, which takes"
            " 0 to 1. `rrf` and `none` have no weight."
        ),
    ] = None
    rank_constant: Annotated[
        int,
        Meta(ge=1, le=10_000, description="For `rrf`: a larger value makes the first ranks stand out less."),
    ] = 60
    feedback: Annotated[
        Annotated[float, Meta(ge=0, le=2)] | None,
        Meta(
            description="Weight of a hit's similarity to the three best hits of the first order, beside its"
            " crossing (pseudo-relevance feedback). 0: none; unset: the bundle's own with `log_linear`. Only"
            " in `sidecar`, and not with `none`."
        ),
    ] = None
    smoothing: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            description="Share of a hit's score that is the mean of the ten hits with the nearest vectors"
            " (score smoothing, the cluster hypothesis). 0: none; unset: the bundle's own with `log_linear`."
            " Only in `sidecar`, and not with `none`."
        ),
    ] = None
    signals: Annotated[
        tuple[SignalSettings, ...],
        Meta(
            description="Numeric or date fields whose values raise or lower hits, such as a popularity: see"
            " [signals](#signals). Not with `none`; a `combiner` sees them as features."
        ),
    ] = ()
    combiner: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(
            description="For the method `combiner`: the name of the file, without `.json`, that `twinrank"
            " serve --combiner-file` was given. A proxy without it leaves searches in OpenSearch's order."
        ),
    ] = None

    def change(self, controls: FusionControls) -> "FusionSettings":
        """Return the fusion with other values; the weight of another method does not apply."""
        given = {name: getattr(controls, name) for name in FusionControls.__struct_fields__}
        changed = {name: value for name, value in given.items() if value is not None}
        is_other_method = changed.get("method", self.method) != self.method
        kept = msgspec.structs.replace(self, method=FusionSettings().method, weight=None)
        return msgspec.structs.replace(kept if is_other_method else self, **changed)

    def resolve(self, defaults: FusionDefaults) -> ResolvedFusion:
        """Return the fusion with a bundle's values for what `log_linear` leaves open; `none` takes none."""
        own = defaults if self.method == "log_linear" else None
        weight, feedback, smoothing = self.weight, self.feedback, self.smoothing
        if weight is None and own is not None:
            weight = own.weight
        if feedback is None:
            feedback = 0.0 if own is None else own.feedback
        if smoothing is None:
            smoothing = 0.0 if own is None else own.smoothing
        signals = resolve_signals(self.signals)
        if self.method == "none":
            feedback, smoothing, signals = 0.0, 0.0, ()
        if self.method == "combiner":
            return ResolvedFusion(self.method, None, self.rank_constant, 0.0, 0.0, signals, self.combiner)
        return ResolvedFusion(self.method, weight, self.rank_constant, feedback, smoothing, signals)
