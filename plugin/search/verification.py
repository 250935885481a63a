"""`verify_at_search`: the texts of a window's hits, and which of its vectors belong to other texts."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from indexer.document import text_of
from indexer.enricher import chunking_of
from opensearch.fields.vector_field import Hit
from opensearch.search.plan import Plan
from opensearch.settings.table import RerankSettings
from opensearch.writes.documents import DocumentKey
from plugin.errors import RerankFailedError
from plugin.http.caller import select_caller_headers
from plugin.http.messages import Request
from plugin.upstream.client import Upstream
from plugin.upstream.documents import read_documents
from reranker.stored_vector import read_text_hash
from reranker.text import text_hash

Values = Mapping[str, Any]


class WindowTexts:
    """Compares the vectors of one request's windows with the texts beside them."""

    def __init__(self, upstream: Upstream, request: Request) -> None:
        self._upstream = upstream
        self._headers = select_caller_headers(request)
        self.context = request.context

    def without_stale(
        self, plan: Plan, hits: Sequence[Hit], packed: Sequence[bytes | None], *, has_sources: bool
    ) -> tuple[list[bytes | None], int]:
        """Return a window's stored vectors, None for those of other texts, and how many these were.

        Args:
            plan: the search's.
            hits: the window's.
            packed: their vectors.
            has_sources: whether the source fields of each hit are in its `_source`; else they are read by
                `_mget`, which tells how each document is now.

        Raises:
            RerankFailedError: `verify`, the texts cannot be read.
        """
        settings = plan.settings
        places = [position for position, each in enumerate(packed) if each is not None]
        chosen = [hits[position] for position in places]
        values = (
            [_read_source(hit) for hit in chosen]
            if has_sources
            else self._read(chosen, settings.source_fields)
        )
        checked = list(packed)
        for position, each in zip(places, values, strict=True):
            if not _is_current(packed[position] or b"", each, settings):
                checked[position] = None
        return checked, sum(each is None for each in checked) - sum(each is None for each in packed)

    def read_sources(self, hits: Sequence[Hit], fields: Sequence[str]) -> list[Hit]:
        """Return hits with these fields in their `_source`, read by `_mget`, for hits that lack them.

        Raises:
            RerankFailedError: `verify`, they cannot be read.
        """
        return [{"_source": Raw(msgspec.json.encode(each))} for each in self._read(hits, fields)]

    def _read(self, hits: Sequence[Hit], fields: Sequence[str]) -> list[Values]:
        wanted = [(_read_key(hit), tuple(fields)) for hit in hits]
        found = read_documents(self._upstream, self._headers, wanted, self.context.client)
        if None in found:
            raise RerankFailedError("verify", f"{found.count(None)} of {len(hits)} documents cannot be read")
        return [{} if each is None or each.source is None else each.source for each in found]


def carries_sources(plan: Plan) -> bool:
    """Return whether each hit that is asked for as the client wants it has its whole source."""
    return not plan.request.filters_source and plan.filter_path is None


def _is_current(packed: bytes, values: Values, settings: RerankSettings) -> bool:
    text = text_of(values, settings.source_fields)
    return bool(text) and read_text_hash(packed) == text_hash(text, chunking_of(settings))


def _read_source(hit: Hit) -> Values:
    """Return the values of a hit's source; a lone surrogate is what msgspec does not read."""
    source = bytes(hit.get("_source", b"{}"))
    try:
        values = msgspec.json.decode(source)
    except (msgspec.DecodeError, RecursionError):
        try:
            values = json.loads(source, parse_int=float)
        except (ValueError, RecursionError):  # nothing that we can read: its text is not known
            return {}
    return values if isinstance(values, dict) else {}


def _read_key(hit: Hit) -> DocumentKey:
    """Return the key of a hit's document.

    Raises:
        RerankFailedError: `verify`, the hit does not have it.
    """
    try:
        named = {name: msgspec.json.decode(hit[name], type=str) for name in ("_index", "_id")}
        routing = msgspec.json.decode(hit["_routing"], type=str) if "_routing" in hit else None
    except (msgspec.DecodeError, KeyError) as error:
        raise RerankFailedError("verify", f"expected _index and _id in every hit, found: {error}") from error
    return DocumentKey(named["_index"], named["_id"], routing)
