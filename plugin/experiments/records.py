"""What an experiment left in `ubi_queries` and `ubi_events`: pages, runs and clicks, read for its report."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opensearch.changes.snapshot import read_hits
from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError
from opensearch.index.metadata import find_indices, refresh
from plugin.experiments.attributes import (
    ARM,
    ARMS,
    DRAFT,
    EXPERIMENT,
    MODE,
    RUN,
    SHADOW,
    TEAMS,
    UNIT,
    decode_shadow,
    split_names,
)
from plugin.experiments.clicks import Click, Impression
from plugin.ubi.indices import EVENTS, QUERIES

CLICK = "click"
"""The `action_name` of a click in UBI 1.3."""

_ATTRIBUTES = "query_attributes"


@dataclass(frozen=True)
class RecordedRun:
    """One run of an experiment: `arms` with the control first, `pages` as they were shown.

    `mode` is the experiment's. `started` and `ended` are the times of its first and last page, as ISO 8601.
    """

    name: str
    mode: str
    arms: tuple[str, ...]
    pages: tuple[Impression, ...]
    started: str
    ended: str


def read_runs(client: OpenSearchClient, experiment: str) -> list[RecordedRun]:
    """Return the runs of an experiment, the latest last; [] if nothing is recorded.

    Raises:
        IndexMissingError: there is no `ubi_queries`.
        RequestError: OpenSearch cannot be asked, or the user may not read.
    """
    pages: dict[str, list[tuple[str, Mapping[str, Any], Impression]]] = defaultdict(list)
    for source in _scan(client, QUERIES, _match_attribute(EXPERIMENT, experiment)):
        attributes = source.get(_ATTRIBUTES) or {}
        if attributes.get(EXPERIMENT) == experiment and attributes.get(UNIT):
            page = _build_impression(source, attributes)
            pages[attributes.get(RUN, "")].append((str(source.get("timestamp", "")), attributes, page))
    runs = []
    for name, found in pages.items():
        found.sort(key=lambda each: _read_time(each[0]))
        mode, arms = found[-1][1].get(MODE, ""), split_names(found[-1][1].get(ARMS, ""))
        shown = tuple(page for _, _, page in found)
        runs.append(RecordedRun(name, mode, arms, shown, found[0][0], found[-1][0]))
    return sorted(runs, key=lambda run: _read_time(run.ended))


def read_clicks(client: OpenSearchClient, since: str) -> list[Click]:
    """Return all clicks from a time on, the earliest first; [] without `ubi_events`.

    Raises:
        RequestError: OpenSearch cannot be asked, or the user may not read.
    """
    query = {"bool": {"filter": [
        {"bool": {"minimum_should_match": 1, "should": _match("action_name", CLICK)}},
        {"range": {"timestamp": {"gte": since}}},
    ]}}  # fmt: skip
    try:
        found = [
            (_read_time(str(source.get("timestamp", ""))), _build_click(source))
            for source in _scan(client, EVENTS, query)
        ]
    except IndexMissingError:
        return []
    return [click for _, click in sorted(found, key=lambda each: each[0])]


def _scan(client: OpenSearchClient, name: str, query: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the sources of all documents behind a name that match, also those that were just written."""
    indices = find_indices(client, name)
    if not indices:
        raise IndexMissingError(
            f"no index {name!r}, so nothing is recorded. Create it with: twinrank ubi create"
        )
    refresh(client, name)
    wanted = [
        "timestamp", "query_id", "query_response_hit_ids", _ATTRIBUTES, "event_attributes.object.object_id",
    ]  # fmt: skip
    for index in indices:
        for hit in read_hits(client, index, {"query": query, "_source": wanted}):
            yield hit.get("_source") or {}


def _match_attribute(name: str, value: str) -> dict[str, Any]:
    """Return the query for an attribute, whether the mapping is UBI's `flat_object` or a dynamic one."""
    return {"bool": {"minimum_should_match": 1, "should": _match(f"{_ATTRIBUTES}.{name}", value)}}


def _match(field: str, value: str) -> list[dict[str, Any]]:
    return [{"term": {name: value}} for name in (field, f"{field}.keyword")]


def _build_impression(source: Mapping[str, Any], attributes: Mapping[str, Any]) -> Impression:
    query_id = str(source.get("query_id", ""))
    return Impression(
        query_id,
        str(attributes[UNIT]),
        str(attributes.get(ARM, "")),
        tuple(str(each) for each in source.get("query_response_hit_ids") or ()),
        split_names(attributes.get(TEAMS, "")),
        str(attributes.get(DRAFT, query_id)),
        decode_shadow(str(attributes.get(SHADOW, ""))),
    )


def _build_click(source: Mapping[str, Any]) -> Click:
    """Return an event as a click; one without ids is a click of no search."""
    clicked = (source.get("event_attributes") or {}).get("object") or {}
    object_id = clicked.get("object_id", "") if isinstance(clicked, dict) else ""
    return Click(str(source.get("query_id", "")), str(object_id))


def _read_time(text: str) -> float:
    """Return an ISO time in seconds; 0 for another text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
