"""The indices behind a name, with their mappings, settings and aliases."""

from dataclasses import dataclass
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import IndexMissingError, MappingError, RefusedError
from opensearch.settings.table import META_KEY, RerankSettings, SettingsError
from opensearch.settings.validation import parse_settings


@dataclass(frozen=True)
class Index:
    """One concrete index. `settings` are flat: `index.number_of_shards` and so on."""

    name: str
    mapping: dict[str, Any]
    settings: dict[str, Any]
    aliases: dict[str, Any]
    data_stream: str | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """The mapping's whole `_meta`, with the keys of all applications."""
        meta: dict[str, Any] = self.mapping.get("_meta", {})
        return meta

    @property
    def derived_source(self) -> bool:
        """Whether `_source` is not stored but rebuilt from the fields."""
        return str(self.settings.get("index.derived_source.enabled")).lower() == "true"

    @property
    def pipelines(self) -> list[str]:
        """The ingest pipelines that every write of this index runs through."""
        names = [self.settings.get(f"index.{kind}_pipeline", "_none") for kind in ("default", "final")]
        return [name for name in names if name != "_none"]

    @property
    def search_pipeline(self) -> str | None:
        """The search pipeline that every search of this index runs through, None if there is none."""
        name = str(self.settings.get("index.search.default_pipeline", "_none"))
        return None if name == "_none" else name

    def rerank_settings(self) -> RerankSettings:
        """Return the settings of this index.

        Raises:
            SettingsError: it has none, or they are not valid.
        """
        if META_KEY not in self.meta:
            raise SettingsError(
                f"{self.name}: expected settings in the mapping under _meta.{META_KEY}, found none."
                f" Write them with: twinrank enable {self.name} --field FIELD"
            )
        return parse_settings(self.meta[META_KEY])


def find_indices(client: OpenSearchClient, name: str) -> list[Index]:
    """Return every concrete index behind an index name, alias or pattern, by name; [] if there is none.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    try:
        answer = client.request("GET", index_path(name), params={"flat_settings": "true"})
    except IndexMissingError:
        return []
    if not isinstance(answer, dict) or not all(isinstance(value, dict) for value in answer.values()):
        raise RefusedError(
            f"expected the indices behind {name!r} from {client.url}, found other JSON."
            " Check that the address is OpenSearch's"
        )
    return [
        Index(
            found,
            value.get("mappings", {}),
            value.get("settings", {}),
            value.get("aliases", {}),
            value.get("data_stream"),
        )
        for found, value in sorted(answer.items())
    ]


def find_write_index(client: OpenSearchClient, name: str) -> Index:
    """Return the one index that a write to `name` goes to: itself, or an alias's write index.

    Raises:
        IndexMissingError: there is no index behind the name.
        MappingError: several indices do, and none is the write index.
    """
    found = find_indices(client, name)
    if not found:
        raise IndexMissingError(
            f"no index {name!r}. Create it with: twinrank enable {name} --field FIELD [--field FIELD ...]"
        )
    marked = [index for index in found if index.aliases.get(name, {}).get("is_write_index")]
    if len(found) > 1 and len(marked) != 1:
        raise MappingError(
            f"{name}: expected one index or an alias with a write index, found {len(found)} indices:"
            f" {', '.join(index.name for index in found)}. Name one of them"
        )
    return marked[0] if marked else found[0]


def find_uuid(client: OpenSearchClient, name: str) -> str | None:
    """Return the UUID of a concrete index, None if there is no such index.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    params = {"filter_path": "*.settings.index.uuid"}
    try:
        found = client.request("GET", index_path(name), params=params)
    except IndexMissingError:
        return None
    return str(found[name]["settings"]["index"]["uuid"]) if name in found else None


def create(client: OpenSearchClient, name: str) -> None:
    """Create an index with OpenSearch's own defaults and templates.

    Raises:
        RefusedError: OpenSearch does not take the name.
    """
    if "*" in name or "," in name:
        raise RefusedError(f"no index fits {name!r}, and an index of that name cannot be created")
    client.request("PUT", index_path(name))


def refresh(client: OpenSearchClient, name: str) -> None:
    """Make what was written searchable.

    Raises:
        RequestError: OpenSearch cannot be asked, or the user may not.
    """
    client.request("POST", index_path(name, "_refresh"))
