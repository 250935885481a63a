"""What the index template of an index says about reranking: where the mapping's values may have come from."""

from dataclasses import dataclass, field
from typing import Any

from opensearch.client import OpenSearchClient, path_of
from opensearch.errors import DeniedError, RefusedError
from opensearch.index.metadata import Index
from opensearch.settings.table import META_KEY


@dataclass(frozen=True)
class TemplateSettings:
    """A template's `_meta.rerank`, empty where there is none; `note` says why it could not be read."""

    rerank: dict[str, Any] = field(default_factory=dict)
    note: str | None = None


def template_settings(upstream: OpenSearchClient, index: Index) -> TemplateSettings:
    """Return what the template that a new index of this name would be made from says.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    try:
        composed = upstream.request("POST", _simulation(upstream, index))
    except (DeniedError, RefusedError) as error:
        return TemplateSettings(
            note=f"index templates cannot be read, so no value is said to come from one: {error}"
        )
    rerank = composed.get("template", {}).get("mappings", {}).get("_meta", {}).get(META_KEY, {})
    return TemplateSettings(rerank if isinstance(rerank, dict) else {})


def _simulation(upstream: OpenSearchClient, index: Index) -> str:
    """OpenSearch simulates by the name of an index, but refuses the name of a data stream that is there."""
    if index.data_stream is None:
        return f"/_index_template/_simulate_index{path_of(index.name)}"
    [stream] = upstream.request("GET", f"/_data_stream{path_of(index.data_stream)}")["data_streams"]
    return f"/_index_template/_simulate{path_of(stream['template'])}"
