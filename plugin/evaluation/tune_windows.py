"""The windows of judged queries, each searched once through the handler of all searches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plugin.compare.retry import parse_reason
from plugin.evaluation.tune import WINDOWS, TuningError, Window
from plugin.http.headers import Headers
from plugin.search.explain import Asked, explain
from plugin.search.handler import SearchHandler
from plugin.settings.cache import SettingsCache
from reranker.arrays import Floats64
from reranker.feature_table import FeatureTable
from reranker.query_files import EvaluationQuery, Queries

_FUSION = {"method": "log_linear", "feedback": 0, "smoothing": 0}
"""Only the weight of the crossing is fitted."""


@dataclass(frozen=True)
class WindowRequest:
    """How many hits are asked for, and how they are ranked: `controls` are keys of `ext.rerank`.

    `build_body` returns the search of a query's id; None: the texts are looked for in fields.
    """

    size: int = WINDOWS[-1]
    controls: Mapping[str, Any] = field(default_factory=lambda: {"fusion": _FUSION})
    build_body: Callable[[str], dict[str, Any]] | None = None


TRIES = 20
"""How often a query is sent at most: on a busy machine, a few seconds later all are reranked again."""


def search_windows(
    handler: SearchHandler,
    settings: SettingsCache,
    headers: Headers,
    index: str,
    queries: Queries,
    fields: Sequence[str],
    wanted: WindowRequest = WindowRequest(),  # immutable
) -> Iterator[tuple[str, Window]]:
    """Yield every query's id and its widest window, except queries in a script that the model does not read.

    A query with a body is searched by it, the text of any other one is looked for in `fields`.

    Raises:
        TuningError: searches of the index are not reranked; says why.
        UpstreamError: OpenSearch cannot be asked, or answers with an error.
    """
    for query, given in queries.items():
        body = _build_body(given, fields) if wanted.build_body is None else wanted.build_body(query)
        asked = Asked(index, _ask_for_window(body, wanted))
        window = _search_window(handler, settings, headers, asked)
        if window is not None:
            yield query, window


def _build_body(query: EvaluationQuery, fields: Sequence[str]) -> dict[str, Any]:
    words = {"query": {"multi_match": {"query": query.text, "fields": list(fields)}}}
    return words if query.body is None else dict(query.body)


def _ask_for_window(body: Mapping[str, Any], wanted: WindowRequest) -> dict[str, Any]:
    controls = {"enabled": True, "rules": False, "window_size": wanted.size, **wanted.controls}
    own = body.get("ext")
    ext = {**(own if isinstance(own, dict) else {}), "rerank": controls}
    return {**body, "from": 0, "size": wanted.size, "_source": False, "ext": ext}


def _search_window(
    handler: SearchHandler, settings: SettingsCache, headers: Headers, asked: Asked
) -> Window | None:
    steps = explain(handler, settings, headers, asked, (), tries=TRIES)
    if str(steps["rerank_status"]).startswith("applied"):
        return _read_window(steps["hits"])
    if parse_reason(str(steps["rerank_status"])) == "language":
        return None
    raise TuningError(
        f"expected reranked searches of {asked.indices}, found `{steps['rerank_status']}`."
        f" docs/how-to/troubleshooting.md explains the reason;"
        f" twinrank settings {asked.indices} shows the settings"
    )


def _read_window(hits: Sequence[dict[str, Any]]) -> Window:
    found = [hit["rerank"] | {"id": hit["_id"]} for hit in hits if hit["rerank"] is not None]
    scored = sorted(found, key=lambda hit: hit["first_stage_rank"])
    crossing = [np.nan if hit["crossing"] is None else hit["crossing"] for hit in scored]
    return Window(
        [hit["id"] for hit in scored],
        np.array([hit.get("scaled_score", hit["first_stage_score"]) for hit in scored], np.float64),
        np.array(crossing, np.float32),
        [hit["id"] for hit in found],
        _read_features(scored),
        np.array([np.nan if hit["crossing"] is None else hit["probability"] for hit in scored], np.float32),
        _read_signals(scored),
    )


def _read_signals(scored: Sequence[dict[str, Any]]) -> Floats64 | None:
    """Return (num_hits,) the logarithms of the product of each hit's factors."""
    if not scored or "signals" not in scored[0]:
        return None
    factors = [[each["factor"] for each in hit["signals"]] for hit in scored]
    total: Floats64 = np.log(np.array(factors, np.float64)).sum(axis=1)
    return total


def _read_features(scored: Sequence[dict[str, Any]]) -> FeatureTable | None:
    if not scored or "features" not in scored[0]:
        return None
    names = tuple(scored[0]["features"])
    rows = [list(hit["features"].values()) for hit in scored]
    return FeatureTable(names, np.array(rows, np.float64).T)
