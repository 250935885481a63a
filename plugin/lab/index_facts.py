"""What the lab shows of an index before anything is searched: coverage, settings, and fields with text."""

from contextlib import suppress
from typing import Any

import msgspec

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import DeniedError, RefusedError, RequestError
from opensearch.index import metadata
from opensearch.index.source_fields import text_fields
from opensearch.settings.fusion import FusionDefaults
from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from opensearch.settings.target import INDEX_FILTER, Target, read_records
from plugin.lab.orders import describe_skip

MAX_FIELDS = 200
"""Fields that are offered as titles."""

MAX_INDICES = 1_000
"""Names that are offered."""

FORBIDDEN = 403


def list_indices(client: OpenSearchClient) -> dict[str, Any]:
    """Return the names of indices, aliases and data streams with settings that the client's user may see.

    `is_listed` is false if the user may not list indices.

    Raises:
        RequestError: OpenSearch cannot be asked, or does not know the user.
    """
    filters = f"{INDEX_FILTER},*.aliases,*.data_stream"
    try:
        found = client.request(
            "GET", "/*", params={"filter_path": filters, "expand_wildcards": "open,hidden"}
        )
    except DeniedError as error:
        if error.status != FORBIDDEN:
            raise
        return {"indices": [], "is_listed": False}
    try:
        records = read_records(msgspec.json.encode(found))
    except (msgspec.DecodeError, ValueError) as error:
        raise RefusedError(f"expected OpenSearch's indices, found other JSON: {error}") from error
    names: dict[str, bool] = {}
    for name, record in records.items():
        if isinstance(record.rerank, dict):
            enabled = record.rerank.get("enabled", True) is True
            shown = record.groups if name.startswith(".") else (name, *record.groups)
            names |= {each: names.get(each, False) or enabled for each in shown}
    listed = sorted(names.items(), key=lambda each: (not each[1], each[0]))[:MAX_INDICES]
    return {"indices": [{"name": name, "enabled": on} for name, on in listed], "is_listed": True}


def describe_index(
    client: OpenSearchClient, name: str, target: Target, bundle: FusionDefaults
) -> dict[str, Any]:
    """Return the facts; `settings` is None if the index is not set up, and `skipped` says why.

    `bundle` has the values for what the settings leave open.

    Raises:
        IndexMissingError: there is no such index.
        RequestError: OpenSearch cannot be asked.
    """
    settings = target.settings
    facts: dict[str, Any] = {"index": name, "title_fields": _find_text_fields(client, name)}
    if isinstance(settings, Skip):
        documents = _count(client, name, {"match_all": {}})
        skipped = describe_skip(settings.reason, name)
        return {**facts, "documents": documents, "with_vector": None, "settings": None, "skipped": skipped}
    return {
        **facts,
        "documents": _count(client, name, {"match_all": {}}),
        "with_vector": _count(client, name, {"exists": {"field": settings.field}}),
        "settings": _describe_settings(settings, target, bundle),
        "skipped": None if settings.enabled else describe_skip("disabled", name),
    }


def _describe_settings(settings: RerankSettings, target: Target, bundle: FusionDefaults) -> dict[str, Any]:
    fusion = settings.fusion.resolve(bundle)
    return {
        "model": settings.model,
        "source_fields": list(settings.source_fields),
        "execution": settings.execution,
        "method": fusion.method,
        "weight": fusion.weight,
        "feedback": fusion.feedback,
        "smoothing": fusion.smoothing,
        "window_size": settings.window_size,
        "max_window": target.max_result_window,
    }


def _count(client: OpenSearchClient, name: str, query: dict[str, Any]) -> int:
    answer = client.request("POST", index_path(name, "_count"), {"query": query})
    if not isinstance(answer, dict) or not isinstance(answer.get("count"), int):
        raise RefusedError(f"expected OpenSearch's count, found {answer!r:.100}")
    return int(answer["count"])


def _find_text_fields(client: OpenSearchClient, name: str) -> list[str]:
    """Return the fields with text; none for a user who may search but not read a mapping."""
    fields: list[str] = []
    with suppress(RequestError):
        for index in metadata.find_indices(client, name):
            fields += text_fields(index)
    return list(dict.fromkeys(fields))[:MAX_FIELDS]
