"""Checks that the bundles that arms name are there, and read the vectors that the index has."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from opensearch.index.settings_report import SettingsReport
from opensearch.settings.experiment import ExperimentArm
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError
from reranker.bundle import Bundle
from reranker.errors import BundleError
from reranker.sibling_bundles import open_sibling

_ARMS = "experiment.arms"


def check_arm_bundles(settings: RerankSettings, own: Bundle) -> None:
    """Check the bundles of an index's experiment; `own` is the bundle that the proxy serves.

    Raises:
        SettingsError: one is not there, or cannot take the place of `own` on this index.
    """
    for arm_name, arm in settings.experiment.named_arms.items():
        if isinstance(arm, ExperimentArm) and arm.bundle is not None:
            place = f"_meta.{META_KEY}.{_ARMS}.{arm_name}.bundle"
            if settings.for_model(own.vectors_of) is None:
                raise SettingsError(
                    f"{place}: expected the proxy's bundle to be of the index's model {settings.model}, found"
                    f" {own.vectors_of}. Name the bundle that the proxy serves: --bundle"
                )
            problem = _find_problem(own, arm.bundle)
            if problem is not None:
                raise SettingsError(f"{place}: {problem}")


def add_bundle_problems(reports: Sequence[SettingsReport], own: Bundle | None) -> list[SettingsReport]:
    """Return reports of settings with what is wrong with the bundles of their experiments."""
    if own is None:
        return list(reports)
    return [
        replace(report, problems=(*report.problems, *_find_report_problems(report, own)))
        for report in reports
    ]


def _find_report_problems(report: SettingsReport, own: Bundle) -> Iterator[str]:
    values = {each.name: each.value for each in report.settings}
    for arm_name, arm in (values.get(_ARMS) or {}).items():
        bundle = arm.get("bundle") if isinstance(arm, dict) else None
        problem = None if bundle is None else _find_problem(own, bundle)
        if problem is not None:
            yield f"{_ARMS}.{arm_name}.bundle: {problem}"


def _find_problem(own: Bundle, name: str) -> str | None:
    """Return why a bundle cannot be an arm's, None if it can."""
    try:
        open_sibling(own, name)
    except BundleError as error:
        return str(error)
    return None
