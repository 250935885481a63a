"""What User Behavior Insights recorded: clicks, and searches with the pages that were shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opensearch.changes.snapshot import read_hits
from opensearch.client import OpenSearchClient
from opensearch.index import metadata
from plugin.errors import CommandError
from plugin.ubi.record import PREFIX

FROM_ATTRIBUTE = f"{PREFIX}from"
"""The member of `query_attributes` that has the place of a page's first hit, from 0."""

PAGE = 1_000

_DATES = "strict_date_optional_time"
"""How a time is given: the index itself takes whole times alone."""


class NoRecordsError(CommandError):
    """There is nothing to learn from: says which index is missing or empty."""


@dataclass(frozen=True)
class RecordFilter:
    """Which records count: those of an application, and since a time; None: all."""

    application: str | None = None
    since: str | None = None

    def as_query(self, *clauses: dict[str, Any]) -> dict[str, Any]:
        """Return a query for these records that meet the clauses too."""
        filters = list(clauses)
        if self.application is not None:
            filters.append({"term": {"application": self.application}})
        if self.since is not None:
            filters.append({"range": {"timestamp": {"gte": self.since, "format": _DATES}}})
        return {"bool": {"filter": filters}} if filters else {"match_all": {}}


@dataclass(frozen=True)
class ShownPage:
    """One recorded search: the text that was looked for, and the documents in the order shown.

    `start` is the place of the first one, from 0. `client` is None if it was not recorded.
    """

    query_id: str
    text: str
    client: str | None
    documents: tuple[str, ...]
    start: int = 0


@dataclass(frozen=True)
class RecordedClick:
    """A click on a document of a recorded search."""

    query_id: str
    document: str


def read_clicks(
    client: OpenSearchClient, index: str, chosen: RecordFilter, action: str
) -> Iterator[RecordedClick | None]:
    """Yield every event with this `action_name`; None for one without a query or an object.

    Raises:
        NoRecordsError: there is no such index.
        RequestError: OpenSearch cannot be asked.
    """
    search = {
        "size": PAGE,
        "query": chosen.as_query({"term": {"action_name": action}}),
        "_source": ["query_id", "event_attributes.object.object_id"],
    }
    return (parse_click(source) for source in _read_sources(client, index, search))


def read_pages(client: OpenSearchClient, index: str, chosen: RecordFilter) -> Iterator[ShownPage | None]:
    """Yield every recorded search; None for one without a text or without hits.

    Raises:
        NoRecordsError: there is no such index.
        RequestError: OpenSearch cannot be asked.
    """
    members = ["query_id", "user_query", "client_id", "query_response_hit_ids", "query_attributes"]
    search = {"size": PAGE, "query": chosen.as_query(), "_source": members}
    return (parse_page(source) for source in _read_sources(client, index, search))


def parse_click(source: Mapping[str, Any]) -> RecordedClick | None:
    """Return the click that an event is, None if it has no query or no object."""
    attributes = source.get("event_attributes")
    clicked = attributes.get("object") if isinstance(attributes, dict) else None
    document = clicked.get("object_id") if isinstance(clicked, dict) else None
    query = source.get("query_id")
    if not query or document is None or document == "":
        return None
    return RecordedClick(_clean(query), _clean(document))


def parse_page(source: Mapping[str, Any]) -> ShownPage | None:
    """Return the page that a recorded search showed, None if it has no text or no hits."""
    query, text = source.get("query_id"), source.get("user_query")
    found = source.get("query_response_hit_ids")
    listed = found if isinstance(found, list) else [found]
    documents = tuple(_clean(each) for each in listed if each is not None and each != "")
    if not query or not isinstance(text, str) or not text.strip() or not documents:
        return None
    client = source.get("client_id")
    attributes = source.get("query_attributes")
    start = str(attributes.get(FROM_ATTRIBUTE, "0")) if isinstance(attributes, dict) else "0"
    return ShownPage(
        _clean(query),
        " ".join(_clean(text).split()),
        _clean(client) if client else None,
        documents,
        int(start) if start.isascii() and start.isdigit() else 0,
    )


def _clean(value: object) -> str:
    """Return a value as text that can be written: a lone surrogate becomes a question mark."""
    return str(value).encode("utf-8", "replace").decode()


def _read_sources(
    client: OpenSearchClient, index: str, search: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    found = metadata.find_indices(client, index)
    if not found:
        raise NoRecordsError(
            f"expected an index {index} with what User Behavior Insights recorded, found none"
        )
    for each in found:
        yield from (hit.get("_source", {}) for hit in read_hits(client, each, search))
