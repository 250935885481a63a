"""The windows of judged queries with the features of their hits, to learn a combiner from."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensearch.index import metadata
from plugin.encoding.model import Model
from plugin.errors import CommandError
from plugin.evaluation.index_run import make_body_builder
from plugin.evaluation.judged_documents import JudgedQueries, read_judged_queries
from plugin.evaluation.tune import Window
from plugin.evaluation.tune_windows import WindowRequest, search_windows
from plugin.search.explain import search_handler
from plugin.settings.cache import SettingsCache
from plugin.upstream.connecting import Connecting
from reranker.bundle import Bundle

SETTINGS_WITHOUT_COMBINER = {"method": "log_linear"}
"""The fusion of searches whose settings name a combiner: the one to be learned may replace it."""


@dataclass(frozen=True)
class FeaturePlan:
    """Which queries are searched, and how.

    `queries` and `judgments` are files. `fields` are searched; empty: the source fields. `body` is the search
    of each query, with a placeholder for its text; None: a `multi_match`.
    """

    index: str
    connecting: Connecting
    bundle: Path
    queries: str | None
    judgments: str | None
    fields: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None
    queries_limit: int | None = None


@dataclass(frozen=True)
class FeatureSearch:
    """Judged queries and what searches them: `model` is the settings' own, `windows` yields id and window."""

    judged: JudgedQueries
    model: str
    windows: Iterator[tuple[str, Window]]


def search_features(plan: FeaturePlan) -> FeatureSearch:
    """Read the judged queries, and prepare the search of their windows, with the settings of the index.

    Raises:
        CollectionError, NothingJudgedError, SearchBodyError, OpenSearchError: something cannot be used.
    """
    with closing(plan.connecting.client()) as client:
        settings = metadata.find_write_index(client, plan.index).rerank_settings()
        judged = read_judged_queries(client, plan.index, plan.queries, plan.judgments)
    kept = dict(list(judged.queries.items())[: plan.queries_limit])
    judged = JudgedQueries(kept, {id_: judged.grades[id_] for id_ in kept}, judged.num_missing)
    is_combined = settings.fusion.method == "combiner"
    controls: dict[str, Any] = {"features": True, "execution": "sidecar", "on_low_probability": "demote"}
    if is_combined:
        controls["fusion"] = SETTINGS_WITHOUT_COMBINER
    fields = plan.fields or settings.source_fields
    build_body = make_body_builder(judged.queries, fields, settings.window_size, plan.body)
    request = WindowRequest(settings.window_size, controls, build_body)
    return FeatureSearch(judged, settings.model, _search(plan, judged, fields, request))


def _search(
    plan: FeaturePlan, judged: JudgedQueries, fields: tuple[str, ...], request: WindowRequest
) -> Iterator[tuple[str, Window]]:
    with closing(plan.connecting.upstream()) as upstream:
        cache = SettingsCache(upstream, waits_for_coverage=True)
        handler = search_handler(upstream, cache, Model.load(Bundle.open(plan.bundle)))
        headers = plan.connecting.credentials
        yield from search_windows(handler, cache, headers, plan.index, judged.queries, fields, request)


def collect_windows(found: FeatureSearch, searched: Callable[[int, int], None]) -> dict[str, Window]:
    """Return every window by its query; `searched` is called after each with how many are done, and of all.

    Raises:
        CommandError: no search found anything.
        TuningError, UpstreamError: as `search_windows`.
    """
    windows: dict[str, Window] = {}
    for query, window in found.windows:
        windows[query] = window
        searched(len(windows), len(found.judged.queries))
    if not any(window.features is not None for window in windows.values()):
        raise CommandError("expected searches with hits, found none: see --field and --body")
    return windows
