"""The indices `ubi_queries` and `ubi_events`: created with the mappings that the UBI plugin publishes.

The two JSON files are from github.com/opensearch-project/user-behavior-insights (UBI 1.3.0, Apache-2.0), as
they are there. They must not be created by a write: OpenSearch would guess other mappings.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from opensearch.client import OpenSearchClient
from opensearch.errors import IndexMissingError, MissingError, RefusedError

QUERIES = "ubi_queries"
EVENTS = "ubi_events"

_FOLDER = Path(__file__).with_name("schema_1_3")
_FILES = {QUERIES: "queries-mapping.json", EVENTS: "events-mapping.json"}

INDEX_SETTINGS = {"number_of_shards": 1, "auto_expand_replicas": "0-2", "priority": 2_147_483_647}
"""Those that the plugin gives both indices."""


@dataclass(frozen=True)
class UbiIndices:
    """Which indices were made, and which were there before."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


def read_mapping(index: str) -> dict[str, Any]:
    """Return the published mapping of one of the two indices."""
    return msgspec.json.decode((_FOLDER / _FILES[index]).read_bytes(), type=dict[str, Any])


def create_ubi_indices(client: OpenSearchClient) -> UbiIndices:
    """Create those of the two indices that are missing; one that exists, or an alias, stays as it is.

    Raises:
        RequestError: OpenSearch refuses it, or cannot be asked.
    """
    missing = [index for index in (QUERIES, EVENTS) if not _exists(client, index)]
    created = tuple(index for index in missing if _create(client, index))
    return UbiIndices(created, tuple(index for index in (QUERIES, EVENTS) if index not in created))


def _exists(client: OpenSearchClient, index: str) -> bool:
    try:
        client.request("GET", f"/{index}", params={"filter_path": "*.aliases"})
    except (IndexMissingError, MissingError):
        return False
    return True


def _create(client: OpenSearchClient, index: str) -> bool:
    """Create an index; return False if another has just done it."""
    try:
        client.request("PUT", f"/{index}", {"mappings": read_mapping(index), "settings": INDEX_SETTINGS})
    except RefusedError as error:
        if "resource_already_exists_exception" not in str(error) and not _exists(client, index):
            raise
        return False
    return True
