"""The fields that a tool searches and shows, unless its user names others."""

from contextlib import suppress

from opensearch.client import OpenSearchClient
from opensearch.errors import RequestError
from opensearch.index import metadata
from opensearch.settings.table import SettingsError


def find_source_fields(client: OpenSearchClient, index: str) -> tuple[str, ...]:
    """Return the source fields of the indices behind a name, each once; none if no settings can be read."""
    fields: list[str] = []
    with suppress(RequestError):  # a user who may search may lack the right to read a mapping
        for each in metadata.find_indices(client, index):
            with suppress(SettingsError):
                fields += each.rerank_settings().source_fields
    return tuple(dict.fromkeys(fields))
