"""What can be asked of an index's experiment: its state, and the report of a run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

import msgspec

from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index.experiment import read_experiments, start_experiment
from opensearch.settings.experiment import ExperimentMode, ExperimentSettings
from opensearch.settings.table import RerankSettings, SettingsError
from plugin.experiments.arm_bundles import check_arm_bundles
from plugin.experiments.clicks import MAX_CLICKS
from plugin.experiments.records import RecordedRun, read_clicks, read_runs
from plugin.experiments.report import ExperimentReport, build_report
from plugin.ubi.indices import create_ubi_indices
from reranker.bundle import Bundle


@dataclass(frozen=True)
class RunSummary:
    """What is recorded of one run."""

    run: str
    pages: int
    units: int
    started: str
    ended: str


@dataclass(frozen=True)
class ExperimentStatus:
    """An index's experiment, and its runs, the latest last; `note` says why none can be shown."""

    index: str
    experiment: ExperimentSettings
    runs: tuple[RunSummary, ...] = ()
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the machine-readable form."""
        name = self.experiment.name
        return {
            "experiment": None if name is None else describe_settings(self.experiment),
            "runs": [asdict(run) for run in self.runs],
            **({"note": self.note} if self.note else {}),
        }


def describe_settings(experiment: ExperimentSettings) -> dict[str, Any]:
    """Return an experiment with all its values, as JSON has them."""
    plain: dict[str, Any] = msgspec.to_builtins(experiment)
    share = experiment.share_of_searches if experiment.compares_afterwards else experiment.share_of_units
    return plain | {"arms": msgspec.to_builtins(experiment.named_arms), "share": share}


def read_status(client: OpenSearchClient, name: str) -> list[ExperimentStatus]:
    """Return the experiment of each index behind a name, with what is recorded of it.

    Raises:
        IndexMissingError, SettingsError, RequestError: as `read_experiments`.
    """
    return [
        _read_status(client, index, settings.experiment)
        for index, settings in read_experiments(client, name).items()
    ]


@dataclass(frozen=True)
class StartedExperiment:
    """What starting has done: the settings of each index, and the indices of UBI that were created."""

    settings: dict[str, RerankSettings]
    created: tuple[str, ...]


def start(
    client: OpenSearchClient,
    name: str,
    experiment: Mapping[str, Any],
    own: Bundle | None,
    *,
    dry_run: bool = False,
) -> StartedExperiment:
    """Start an experiment on every index behind a name, and create the indices of UBI if they are missing.

    `own` is the bundle that the proxy serves, with which those of the arms must agree; None: it is not known.

    Raises:
        SettingsError: an arm's bundle is not there or has other vectors, or as `start_experiment`.
        IndexMissingError, MappingError, RequestError: as `start_experiment`; nothing was changed then, or
            only indices of UBI were created.
    """
    planned = start_experiment(client, name, experiment, dry_run=True)
    if own is not None:
        for settings in planned.values():
            check_arm_bundles(settings, own)
    if dry_run:
        return StartedExperiment(planned, ())
    created = create_ubi_indices(client).created
    return StartedExperiment(start_experiment(client, name, experiment), created)


def report_experiment(
    client: OpenSearchClient,
    name: str,
    *,
    experiment: str | None = None,
    run: str | None = None,
    max_clicks: int = MAX_CLICKS,
) -> ExperimentReport:
    """Return the report of a run of an index's experiment.

    Args:
        client: reads as the caller.
        name: the index.
        experiment: the experiment's name; None: that of the one that runs.
        run: which run; None: the latest.
        max_clicks: clicks of one unit that count.

    Raises:
        SettingsError: none runs and none is named, or nothing is recorded of it.
        IndexMissingError: there is no such index, or no `ubi_queries`.
        RequestError: OpenSearch cannot be asked.
    """
    chosen = experiment or _find_running(client, name)
    runs = read_runs(client, chosen)
    found = [each for each in runs if run in (None, each.name)]
    if not found:
        which = f"a run {run!r}" if run and runs else "a recorded page"
        raise SettingsError(
            f"experiment {chosen!r}: expected {which}, found none. Only searches with `ext.ubi` are recorded;"
            f" the runs are {', '.join(each.name for each in runs) or 'none'}"
        )
    return _report_run(client, chosen, found[-1], len(runs) - 1, max_clicks)


def _report_run(
    client: OpenSearchClient, experiment: str, run: RecordedRun, num_others: int, max_clicks: int
) -> ExperimentReport:
    modes: tuple[ExperimentMode, ...] = get_args(ExperimentMode)
    mode = next((each for each in modes if each == run.mode), modes[0])
    clicks = read_clicks(client, run.started)
    report = build_report(experiment, mode, run.name, run.arms, run.pages, clicks, max_clicks)
    return replace(report, started=run.started, ended=run.ended, other_runs=num_others)


def _find_running(client: OpenSearchClient, name: str) -> str:
    """Return the name of the experiment that runs on an index."""
    names = {settings.experiment.name for settings in read_experiments(client, name).values()} - {None}
    if len(names) != 1:
        found = ", ".join(sorted(filter(None, names))) or "none that runs"
        raise SettingsError(f"{name}: expected one experiment, found {found}. Name it: --name NAME")
    return str(names.pop())


def _read_status(client: OpenSearchClient, index: str, experiment: ExperimentSettings) -> ExperimentStatus:
    if experiment.name is None:
        return ExperimentStatus(index, experiment)
    try:
        runs = read_runs(client, experiment.name)
    except IndexMissingError as error:
        return ExperimentStatus(index, experiment, note=str(error))
    summaries = (
        RunSummary(run.name, len(run.pages), len({page.unit for page in run.pages}), run.started, run.ended)
        for run in runs
    )
    return ExperimentStatus(index, experiment, tuple(summaries))
