"""The experiment of an index: several orders, its arms, are compared on the index's own searches."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from opensearch.rawjson.validation import build_error, describe_kind, validate
from opensearch.settings.fusion import FusionControls
from opensearch.settings.group import SettingsGroup

OPENSEARCH = "opensearch"
"""The arm that is OpenSearch's own order."""

INTERLEAVED = "interleaved"
"""What takes the place of an arm's name if a page is made of two arms."""

BY_CLIENT = "ext.ubi.client_id"
"""Where a unit's name is, unless a header names it too."""

NO_UNIT = "no_unit"
OUTSIDE_SHARE = "outside_share"
OWN_SETTINGS = "own_settings"
NO_BUNDLE = "no_bundle"
NOT_ASSIGNED = (NO_UNIT, OUTSIDE_SHARE, OWN_SETTINGS, NO_BUNDLE)
"""Why a search has no part in an experiment, in the place of the experiment's name in `Rerank-Status`."""

MIN_ARMS = 2
MAX_ARMS = 8

SHARE_OF_SEARCHES = 0.05
"""The share of searches that are made twice, if a shadow's control is OpenSearch's own order."""

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_BUNDLE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(@[A-Za-z0-9][A-Za-z0-9._+-]{0,99})?"
_HEADER = r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}"

_NEVER_A_UNIT = frozenset({
    "authorization", "cookie", "opendistro_security_impersonate_as", "proxy-authorization", "securitytenant",
    "x-proxy-roles", "x-proxy-user",
})  # fmt: skip
"""Headers that name an account: an application has one for all its users."""

ExperimentMode = Literal["split", "interleave", "shadow"]


class HeaderUnit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A unit that is named by a header if a search has no `ext.ubi.client_id`."""

    header: Annotated[str, Meta(pattern=f"^{_HEADER}$", description="Name of the header.")]


class ExperimentArm(SettingsGroup, frozen=True, omit_defaults=True):
    """What one arm changes of the index's settings; `{}` is the index as it is.

    `window_size` and `field` may be named, but only with the index's own values.
    """

    fusion: FusionControls = FusionControls()
    bundle: Annotated[
        Annotated[str, Meta(pattern=f"^{_BUNDLE}$")] | None,
        Meta(
            description="Another bundle over the same stored vectors, as `NAME` or `NAME@VERSION`: one that"
            " comes with Twinrank, or that is beside the proxy's own."
        ),
    ] = None
    window_size: Annotated[int | None, Meta(description="The index's own, or left out.")] = None
    field: Annotated[str | None, Meta(description="The index's own, or left out.")] = None


class ExperimentSettings(SettingsGroup, frozen=True):
    """The experiment that runs, if it has a name."""

    name: Annotated[
        Annotated[str, Meta(pattern=f"^{NAME}$")] | None,
        Meta(description="Name of the experiment that runs; unset: none runs."),
    ] = None
    mode: Annotated[
        ExperimentMode,
        Meta(
            description="`split`: each unit's searches have one arm; `interleave`: each page is made of two"
            " arms (Team Draft); `shadow`: the control is shown, and the other orders are compared with it."
        ),
    ] = "interleave"
    arms: Annotated[
        dict[str, ExperimentArm | Literal["opensearch"]] | None,
        Meta(
            description='The arms by name: what each changes, such as `{"fusion": {"weight": 5}}` or'
            ' `{"bundle": "NAME"}`, `{}` for the index as it is, or `"opensearch"` for OpenSearch\'s own'
            " order."
        ),
    ] = None
    control: Annotated[
        str, Meta(min_length=1, description="Name of the arm that the others are compared with.")
    ] = "control"
    share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="Share of units that take part; unset: 1. For `shadow` with a control that is"
            f' "opensearch": the share of searches that are compared; unset: {SHARE_OF_SEARCHES}.'
        ),
    ] = None
    unit: Annotated[
        Literal["ext.ubi.client_id"] | HeaderUnit,
        Meta(
            description="What names a unit: `ext.ubi.client_id` of the search; with"
            ' `{"header": NAME}` that header if the search has no such id.'
        ),
    ] = "ext.ubi.client_id"
    salt: Annotated[
        Annotated[str, Meta(min_length=1, max_length=100)] | None,
        Meta(description="Another salt draws all units again."),
    ] = None

    @property
    def named_arms(self) -> Mapping[str, ExperimentArm | Literal["opensearch"]]:
        """The arms by name, the control first, then by name: the order of a mapping's keys is not kept."""
        arms = self.arms or {}
        return {name: arms[name] for name in sorted(arms, key=lambda name: (name != self.control, name))}

    @property
    def compares_afterwards(self) -> bool:
        """Whether OpenSearch's own order is shown, and windows are asked for after the answer."""
        return self.mode == "shadow" and self.named_arms.get(self.control) == OPENSEARCH

    @property
    def share_of_units(self) -> float:
        """The share of units that take part, above 0."""
        return 1.0 if self.share is None or self.compares_afterwards else self.share

    @property
    def share_of_searches(self) -> float:
        """The share of searches whose orders are compared, above 0."""
        if not self.compares_afterwards:
            return 1.0
        return SHARE_OF_SEARCHES if self.share is None else self.share

    @property
    def bundles(self) -> tuple[str, ...]:
        """The other bundles that arms name, sorted."""
        arms = (arm for arm in self.named_arms.values() if isinstance(arm, ExperimentArm))
        return tuple(sorted({arm.bundle for arm in arms if arm.bundle is not None}))

    @property
    def header(self) -> str | None:
        """The header that may name a unit, in lower case."""
        return self.unit.header.lower() if isinstance(self.unit, HeaderUnit) else None


def check_arms(rerank: Any, place: str, remedy: str) -> None:  # noqa: ANN401  # any JSON value
    """Check the form of the arms in a decoded `_meta.rerank`, so that errors name the arm.

    Raises:
        InvalidError: two experiments, an arm of no known kind, a name that a header cannot show.
    """
    experiment = rerank.get("experiment") if isinstance(rerank, dict) else None
    place = f"{place}.experiment"
    if isinstance(experiment, list):
        raise build_error(
            place, "one experiment at a time, a JSON object", f"a list of {len(experiment)}", remedy
        )
    arms = experiment.get("arms") if isinstance(experiment, dict) else None
    if not isinstance(arms, dict):
        return
    for name, arm in arms.items():
        if not re.fullmatch(NAME, name) or name == INTERLEAVED:
            expected = "a name of letters, digits, `_`, `.` and `-`, 64 at most"
            raise build_error(f"{place}.arms", expected, repr(name), remedy)
        if isinstance(arm, dict):
            validate(arm, ExperimentArm, f"{place}.arms.{name}", remedy)
        elif arm != OPENSEARCH:
            expected = 'a JSON object of what the arm changes, or "opensearch"'
            found = repr(arm) if isinstance(arm, str) else describe_kind(arm)
            raise build_error(f"{place}.arms.{name}", expected, found, remedy)


def check_experiment(experiment: ExperimentSettings, own: Mapping[str, Any], place: str, remedy: str) -> None:
    """Check what the parts of an experiment demand of each other and of the index.

    Args:
        experiment: one that is not empty.
        own: the index's `window_size`, `field`, `score`, `cuts` and `signals`.
        place: its name, for errors.
        remedy: what to do, for errors.

    Raises:
        InvalidError: they do not go together.
    """
    arms = experiment.named_arms
    if experiment.name is None:
        raise build_error(f"{place}.name", "a name for the experiment", "none", remedy)
    if experiment.name in NOT_ASSIGNED:
        raise build_error(f"{place}.name", "a name of its own", repr(experiment.name), remedy)
    most = MIN_ARMS if experiment.mode == "interleave" else MAX_ARMS
    if not MIN_ARMS <= len(arms) <= most:
        expected = "two arms" if most == MIN_ARMS else f"{MIN_ARMS} to {MAX_ARMS} arms"
        raise build_error(f"{place}.arms", expected, str(len(arms)), remedy)
    if experiment.control not in arms:
        expected = f"the name of an arm, which is one of {', '.join(arms)}"
        raise build_error(f"{place}.control", expected, repr(experiment.control), remedy)
    if all(arm == OPENSEARCH for arm in arms.values()):
        raise build_error(f"{place}.arms", "at least one arm that is reranked", "none", remedy)
    _check_shared(arms, own, place, remedy)
    if experiment.header in _NEVER_A_UNIT:
        expected = "a header that names one user, not an account"
        raise build_error(f"{place}.unit.header", expected, repr(experiment.header), remedy)
    if experiment.mode != "split" and own["cuts"]:
        expected = "`split`, or `on_low_probability: demote`: other modes compare orders of the same hits"
        raise build_error(f"{place}.mode", expected, f"`{experiment.mode}`", remedy)
    if experiment.mode == "interleave" and own["score"] != "first_stage":
        expected = "another mode, or `score: first_stage`: interleaved pages mix the scores of two orders"
        raise build_error(f"{place}.mode", expected, f"`score: {own['score']}`", remedy)


def _check_shared(
    arms: Mapping[str, ExperimentArm | Literal["opensearch"]], own: Mapping[str, Any], place: str, remedy: str
) -> None:
    """Check that no arm has another window than the index."""
    for name, arm in arms.items():
        if isinstance(arm, ExperimentArm) and arm.fusion.signals is not None:
            expected = "nothing: all arms have the index's own signals"
            raise build_error(f"{place}.arms.{name}.fusion.signals", expected, "a list", remedy)
        if own["signals"] and isinstance(arm, ExperimentArm) and arm.fusion.method == "none":
            expected = "another method, since `none` takes no signals and the index has some"
            raise build_error(f"{place}.arms.{name}.fusion.method", expected, "`none`", remedy)
        for key in ("window_size", "field") if isinstance(arm, ExperimentArm) else ():
            found = getattr(arm, key)
            if found not in (None, own[key]):
                expected = f"the index's own {own[key]!r}, since all arms share one window"
                raise build_error(f"{place}.arms.{name}.{key}", expected, repr(found), remedy)
