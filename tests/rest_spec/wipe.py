"""An OpenSearch as if new: what one test left behind is deleted before the next."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tests.rest_spec.call import Caller

_PARTS = {
    "data_stream": "/_data_stream/{}",
    "indices": "/{}?expand_wildcards=all",
    "index_template": "/_index_template/{}",
    "component_template": "/_component_template/{}",
    "templates": "/_template/{}",
    "ingest": "/_ingest/pipeline/{}",
    "search_pipeline": "/_search/pipeline/{}",
    "stored_scripts": "/_scripts/{}",
}
"""Part of the cluster's metadata -> how one of its names is deleted, in an order that OpenSearch allows."""

_STATE = (
    "/_cluster/state/metadata?filter_path=metadata.indices.*.state,metadata.templates.*.order,"
    "metadata.index_template,metadata.component_template,metadata.repositories.*.type,metadata.ingest,"
    "metadata.search_pipeline,metadata.stored_scripts,metadata.data_stream"
)


class Wiper:
    """Deletes what stands in a server, by what its cluster state says."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def wipe(self) -> None:
        """Delete indices, streams, templates, pipelines, scripts, repositories, settings and contexts."""
        metadata = self._get(_STATE).get("metadata", {})
        streams = names_of(metadata.get("data_stream", {}))
        for part, path in _PARTS.items():
            for name in names_of(metadata.get(part, {})):
                if part != "indices" or not any(f"ds-{stream}-" in name for stream in streams):
                    self._delete(path.format(quote(name, safe="")))
        for repository in metadata.get("repositories", {}):
            for snapshot in self._get(f"/_snapshot/{repository}/_all").get("snapshots", []):
                self._delete(f"/_snapshot/{repository}/{snapshot['snapshot']}")
            self._delete(f"/_snapshot/{repository}")
        self._reset_settings()
        self._delete("/_search/point_in_time/_all")
        self._delete("/_search/scroll/_all")

    def _reset_settings(self) -> None:
        settings = self._get("/_cluster/settings?flat_settings=true")
        body = {part: dict.fromkeys(values) for part, values in settings.items() if values}
        if body:
            self._caller.ask("PUT", "/_cluster/settings", json.dumps(body).encode(), {})

    def _get(self, target: str) -> dict[str, Any]:
        body = self._caller.ask("GET", target, None, {}).body
        return body if isinstance(body, dict) else {}

    def _delete(self, target: str) -> None:
        self._caller.ask("DELETE", target, None, {})


def names_of(part: Mapping[str, Any]) -> list[str]:
    """Return the names in a part of the metadata, whichever of the state's three shapes it has."""
    inner: Any = part
    while isinstance(inner, dict) and len(inner) == 1 and next(iter(inner)) in {*_PARTS, "pipeline"}:
        inner = next(iter(inner.values()))
    if isinstance(inner, list):
        return [each["id"] for each in inner]
    return sorted(str(name) for name in inner)
