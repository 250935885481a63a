"""One record of `ubi_queries`: a search, and the ids that its client was shown."""

import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from plugin.telemetry.outcome import SearchOutcome
from plugin.ubi.parameters import UbiParameters

PREFIX = "twinrank."
"""Begins the name of every attribute that the proxy adds; those of clients have other names."""

OF_TEXT = frozenset({"twinrank.draft"})
"""Attributes made from a query's text; those of OF_CLIENT are made from a client's id."""
OF_CLIENT = frozenset({"twinrank.unit", "twinrank.draft"})

MAX_KEYWORD_BYTES = 32_766
"""OpenSearch refuses a document with a longer keyword, so longer values are cut."""

MAX_QUERY_CHARS = 65_536
"""A longer search body is cut in the record."""


@dataclass(frozen=True)
class RecordingOptions:
    """What is recorded.

    Attributes:
        is_on: whether the proxy records at all. If not, `ext.ubi` is left to OpenSearch.
        query_text: whether a record has the text: `user_query` and `query`.
        client_key: with which client ids are hashed (HMAC-SHA256); None: they are recorded as they are.
        sink: the URL of a Data Prepper that gets the records; None: they go into the index.
    """

    is_on: bool = True
    query_text: bool = True
    client_key: bytes | None = field(default=None, repr=False)
    sink: str | None = field(default=None, repr=False)


class UbiRecord(msgspec.Struct, omit_defaults=True):
    """A document of `ubi_queries` in UBI 1.3, as the plugin writes it.

    `query_attributes` are strings: the client's, and the proxy's with names that begin with `twinrank.`.
    What others add to a search's `SearchOutcome.attributes` is among them. `user_query` and `query` are None
    if the query's text is not recorded.
    """

    timestamp: str
    query_id: str
    query_response_id: str
    query_response_hit_ids: list[str]
    client_id: str
    query_attributes: dict[str, str]
    application: str | None = None
    user_query: str | dict[str, Any] | None = None
    query: str | None = None

    @property
    def num_bytes(self) -> int:
        """About how much memory it takes, in bytes."""
        texts = (self.query or "", self.client_id, self.query_id, *self.query_response_hit_ids)
        attributes = (*self.query_attributes.keys(), *self.query_attributes.values())
        typed = self.user_query or ""
        user_query = len(typed) if isinstance(typed, str) else len(msgspec.json.encode(typed))
        return 1000 + user_query + sum(map(len, texts)) + sum(map(len, attributes))


def build_record(
    parameters: UbiParameters,
    query_id: str,
    hit_ids: list[str],
    query: str,
    start: int,
    outcome: SearchOutcome,
    options: RecordingOptions,
) -> UbiRecord:
    """Return the record of a search that was answered.

    Args:
        parameters: its `ext.ubi`.
        query_id: the id that its client is answered.
        hit_ids: the ids in the order shown on this page.
        query: the client's body before the proxy changed it.
        start: the search's `from`.
        outcome: what the proxy made of it.
        options: what is recorded.
    """
    return UbiRecord(
        timestamp=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        query_id=query_id,
        query_response_id=str(uuid.uuid4()),
        query_response_hit_ids=[_cut(each) for each in hit_ids],
        client_id=_name_client(parameters.client_id, options.client_key),
        query_attributes=_describe(parameters.query_attributes)
        | _protect(_describe_outcome(outcome, start), options),
        application=parameters.application,
        user_query=_read_user_query(parameters) if options.query_text else None,
        query=query[:MAX_QUERY_CHARS] if options.query_text else None,
    )


def _name_client(client_id: str | None, key: bytes | None) -> str:
    """Return a client's id as it is recorded: empty if there is none, as the plugin writes it."""
    if not client_id or key is None:
        return _cut(client_id or "")
    return hmac.new(key, client_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _read_user_query(parameters: UbiParameters) -> str | dict[str, Any]:
    given = parameters.user_query or ""
    return _cut(given) if isinstance(given, str) else given


def _protect(attributes: dict[str, str], options: RecordingOptions) -> dict[str, str]:
    """Return the proxy's attributes without what the options keep out of records.

    Hashes of client and query could be guessed from lists of likely ones, but not with a key.
    """
    kept = {name: value for name, value in attributes.items() if options.query_text or name not in OF_TEXT}
    key = options.client_key
    return {name: _name_client(value, key) if name in OF_CLIENT else value for name, value in kept.items()}


def _describe(attributes: Mapping[str, str | int | float | bool]) -> dict[str, str]:
    """Return a client's attributes as strings, without names that are the proxy's."""
    return {
        name: _cut(value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in attributes.items()
        if not name.startswith(PREFIX)
    }


def _describe_outcome(outcome: SearchOutcome, start: int) -> dict[str, str]:
    own = {
        "outcome": outcome.word,
        "window": str(outcome.window or outcome.shard_window),
        "model": outcome.model,
        "from": str(start),
    }
    return {PREFIX + name: value for name, value in own.items() if value} | dict(outcome.attributes)


def _cut(text: str) -> str:
    """Return as much of a text as a keyword can hold."""
    if len(text) * 4 <= MAX_KEYWORD_BYTES:
        return text
    return text.encode("utf-8", "replace")[:MAX_KEYWORD_BYTES].decode("utf-8", "ignore")
