"""A search's part in the experiment of its index: its unit, its arm, and what is told of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from opensearch.search.decision import Decision
from opensearch.search.ext import RERANK, InvalidError, take_controls
from opensearch.search.plan import ArmOrder, Interleaving, Plan
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.settings.experiment import (
    INTERLEAVED,
    NO_BUNDLE,
    NO_UNIT,
    OUTSIDE_SHARE,
    OWN_SETTINGS,
    ExperimentArm,
    ExperimentSettings,
)
from opensearch.settings.fusion import FusionDefaults
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from plugin.experiments.attributes import ARM, ARMS, EXPERIMENT, MODE, RUN, UNIT, join_names
from plugin.experiments.unit import Unit, hash_texts
from plugin.http.messages import Request, Response
from plugin.telemetry.outcome import SearchOutcome

ASSIGNED = "assigned"
"""What counts a search that has a part."""

FIRST_STAGE_ARM = Skip("experiment")
"""Why a search is not reranked whose arm is OpenSearch's own order."""

_HIDDEN = "not_enabled"
"""The reason for a caller who may not see an index's settings, and so not its experiment."""


@dataclass(frozen=True)
class Assignment:
    """One search's part in an experiment.

    Attributes:
        experiment: the index's.
        unit: who searches; None if the search has no part.
        arm: the name of its arm, or `interleaved`; empty if it has no part.
        run: names the settings and the bundle under which it was made: other ones start another run.
        obstacle: why it has no part, empty if it has.
    """

    experiment: ExperimentSettings
    unit: Unit | None = None
    arm: str = ""
    run: str = ""
    obstacle: str = ""

    @property
    def word(self) -> str:
        """What it is counted by."""
        return self.obstacle or ASSIGNED

    def change_settings(self, settings: RerankSettings) -> RerankSettings:
        """Return the index's settings as the search's arm has them, of several arms as `_reranking` has."""
        arm = self._reranking
        return settings if arm is None else settings.for_arm(arm)

    @property
    def bundle(self) -> str:
        """The name of the bundle by which the search is planned, empty for the proxy's own."""
        arm = self._reranking
        return "" if arm is None or arm.bundle is None else arm.bundle

    @property
    def fallback(self) -> str | None:
        """Why OpenSearch cannot rescore the search itself, None if it may."""
        needs_window = self.experiment.mode != "split" or self.experiment.bundles
        return "experiment" if self.unit is not None and needs_window else None

    @property
    def _reranking(self) -> ExperimentArm | None:
        """The search's arm, of an interleaved page the first that reranks; None if that is no arm."""
        arms = self.experiment.named_arms
        if self.arm == INTERLEAVED or (self.unit is not None and self.experiment.compares_afterwards):
            return next(each for each in arms.values() if isinstance(each, ExperimentArm))
        chosen = arms.get(self.arm)
        return chosen if isinstance(chosen, ExperimentArm) else None

    def change_decision(
        self, decision: Decision, settings: RerankSettings, find_defaults: Callable[[str], FusionDefaults]
    ) -> Decision:
        """Return what is decided about the search, as its arm has it.

        `settings` are the index's; `find_defaults` returns a bundle's own values, by its name or "".
        """
        plan = decision.plan
        if isinstance(plan, Plan) and self.obstacle == NO_BUNDLE and self.experiment.compares_afterwards:
            return replace(decision, plan=FIRST_STAGE_ARM)  # what its users see needs no bundle
        if not isinstance(plan, Plan) or self.unit is None:
            return decision
        plan = replace(plan, bundle=self.bundle)
        if self.experiment.mode == "split":
            is_first_stage = not isinstance(self.experiment.named_arms[self.arm], ExperimentArm)
            return replace(decision, plan=FIRST_STAGE_ARM if is_first_stage else plan)
        first, *others = self._list_orders(settings, find_defaults)
        if self.experiment.compares_afterwards:
            return replace(decision, plan=FIRST_STAGE_ARM, compared=replace(plan, shadow=tuple(others)))
        if self.experiment.mode == "shadow":
            return replace(decision, plan=replace(plan, shadow=tuple(others)))
        interleaving = Interleaving(self.experiment.name or "", self.unit.name, (first, others[0]))
        return replace(decision, plan=replace(plan, interleaving=interleaving))

    def _list_orders(
        self, settings: RerankSettings, find_defaults: Callable[[str], FusionDefaults]
    ) -> Sequence[ArmOrder]:
        """Return how each arm orders a window, the control first."""
        orders = []
        for name, arm in self.experiment.named_arms.items():
            if isinstance(arm, ExperimentArm):
                bundle = arm.bundle or ""
                fusion = settings.for_arm(arm).fusion.resolve(find_defaults(bundle))
                orders.append(ArmOrder(name, fusion, bundle))
            else:
                orders.append(ArmOrder(name, None))
        return orders

    def tag(self, outcome: SearchOutcome) -> SearchOutcome:
        """Return an outcome that tells of the experiment, unless its caller may not see settings."""
        if outcome.reason == _HIDDEN:
            return outcome
        if self.unit is None:
            return replace(outcome, experiment=self.obstacle)
        name = self.experiment.name or ""
        own = {
            EXPERIMENT: name,
            MODE: self.experiment.mode,
            ARMS: join_names(list(self.experiment.named_arms)),
            ARM: self.arm,
            UNIT: self.unit.code,
            RUN: self.run,
        }
        attributes = {**outcome.attributes, **own}
        return replace(outcome, experiment=name, arm=self.arm, attributes=attributes)


def assign(
    request: Request,
    search: SearchRequest,
    settings: RerankSettings,
    find_bundles: Callable[[Sequence[str]], Sequence[str] | None],
) -> Assignment | None:
    """Return a search's part in the experiment of its index, None if none runs.

    Args:
        request: the client's.
        search: the search in it.
        settings: its index's.
        find_bundles: returns the bundle that reranks, and those of these names, each with its version; None
            while one of them is not loaded.
    """
    experiment = settings.experiment
    if experiment.name is None:
        return None
    if _has_own_settings(search):
        return Assignment(experiment, obstacle=OWN_SETTINGS)
    name = find_unit_name(search, experiment, request.header)
    if not name:
        return Assignment(experiment, obstacle=NO_UNIT)
    unit = Unit.build(experiment.name, experiment.salt or "", name)
    if not unit.takes_part(experiment.share_of_units):
        return Assignment(experiment, obstacle=OUTSIDE_SHARE)
    bundles = find_bundles(experiment.bundles)
    if bundles is None:
        return Assignment(experiment, obstacle=NO_BUNDLE)
    arm = {"interleave": INTERLEAVED, "shadow": experiment.control}.get(experiment.mode)
    arm = arm or unit.choose(list(experiment.named_arms))
    return Assignment(experiment, unit, arm, name_run(msgspec.msgpack.encode(settings), " ".join(bundles)))


def find_unit_name(
    search: SearchRequest, experiment: ExperimentSettings, header: Callable[[str], str]
) -> str:
    """Return the name of a search's unit: its `ext.ubi.client_id`, else the header; empty if it has none."""
    try:
        ubi = msgspec.json.decode(search.ext["ubi"]) if b'"ubi"' in bytes(search.body.get("ext", b"")) else {}
    except (KeyError, NotUnderstoodError, msgspec.DecodeError, RecursionError):
        ubi = {}
    client_id = ubi.get("client_id") if isinstance(ubi, dict) else None
    if isinstance(client_id, str) and client_id:
        return client_id
    return "" if experiment.header is None else header(experiment.header)


def add_assignment(response: Response, assignment: Assignment | None) -> Response:
    """Return a response whose outcome tells of the search's part in an experiment, if it has one."""
    if assignment is None or not isinstance(response.outcome, SearchOutcome):
        return response
    return replace(response, outcome=assignment.tag(response.outcome))


@lru_cache(256)
def name_run(settings: bytes, bundle: str) -> str:
    """Return the name of a run: 8 hexadecimal digits, other ones for other settings or another bundle."""
    return f"{hash_texts(settings.hex(), bundle) >> 32:08x}"


def _has_own_settings(search: SearchRequest) -> bool:
    """Whether the search says itself how it is ordered, as pages that try settings out do."""
    if f'"{RERANK}"'.encode() not in bytes(search.body.get("ext", b"")):
        return False
    try:
        controls, _ = take_controls(dict(search.body))
    except (InvalidError, msgspec.DecodeError, RecursionError):  # it is refused, or passed through
        return True
    return controls.changes_order
