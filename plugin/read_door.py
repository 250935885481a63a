"""Reads of documents: passed through, with our own fields cut out of what comes back."""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from opensearch.asked_fields import asks_in_documents, asks_in_url
from opensearch.endpoints import Api, Endpoint
from opensearch.field_cutter import cut_answer
from opensearch.search_request import NotUnderstoodError, parameters_of
from opensearch.vector_field import vector_field
from plugin.errors import UpstreamError
from plugin.http_messages import Answer, Request
from plugin.passthrough import Cut, passed_through
from plugin.settings_cache import SettingsCache
from plugin.upstream import Upstream

READS = frozenset({Api.GET, Api.SOURCE, Api.MULTI_GET, Api.EXPLAIN, Api.SCROLL})
"""What this door answers."""

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A longer `_mget` is passed on unread: fields that it asks for by name are cut out all the same."""

_log = logging.getLogger("twinrank")


class ReadDoor:
    """Answers reads in front of one OpenSearch."""

    def __init__(self, upstream: Upstream, settings: SettingsCache) -> None:
        self._upstream = upstream
        self._settings = settings

    def answer(self, request: Request, endpoint: Endpoint) -> Answer:
        """Answer one read.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        read = request.stream.read(MAX_BODY_BYTES + 1) if endpoint.api is Api.MULTI_GET else b""
        asked = _Asked(_parameters(request), _documents(read))
        if endpoint.api is Api.SOURCE:
            cut = self._cut_of_source(request, endpoint, asked)
        elif endpoint.api in (Api.GET, Api.EXPLAIN) and not self._fields(request, endpoint.indices):
            cut = None
        else:
            cut = self._cut_by_index(request, asked)
        return passed_through(self._upstream, request, cut, read=read)

    def _cut_of_source(self, request: Request, endpoint: Endpoint, asked: "_Asked") -> Cut | None:
        fields = [field for field in self._fields(request, endpoint.indices) if not asked.by_name(field)]
        if not fields:
            return None

        def cut(source: bytes) -> bytes:
            for field in fields:
                source = vector_field(field).cut_source(source)
            return source

        return cut

    def _cut_by_index(self, request: Request, asked: "_Asked") -> Cut:
        """Return what looks up, for every index that an answer speaks of, which fields are ours there."""
        known: dict[str, tuple[str, ...]] = {}

        def fields_of(index: str | None) -> tuple[str, ...]:
            if index is None:
                return ()
            if index not in known:
                fields = self._fields(request, quote(index, safe=""))
                known[index] = tuple(field for field in fields if not asked.by_name(field))
            return known[index]

        return lambda body: cut_answer(body, fields_of)

    def _fields(self, request: Request, indices: str) -> tuple[str, ...]:
        try:
            return self._settings.of(request, indices, {}).all_fields
        except UpstreamError as error:
            _log.warning("which fields of %s are ours cannot be told: %s", indices, error)
            return ()


class _Asked:
    """What a read names itself, in its URL or its documents."""

    def __init__(self, parameters: Mapping[str, str], documents: Any) -> None:  # noqa: ANN401  # any JSON
        self._parameters = parameters
        self._documents = documents

    def by_name(self, field: str) -> bool:
        return asks_in_url(self._parameters, field) or asks_in_documents(self._documents, field)


def _parameters(request: Request) -> dict[str, str]:
    try:
        return parameters_of(request.target)
    except NotUnderstoodError:
        return {}


def _documents(read: bytes) -> Any:  # noqa: ANN401  # any JSON
    try:
        return msgspec.json.decode(read) if read and len(read) <= MAX_BODY_BYTES else None
    except (msgspec.DecodeError, RecursionError):
        return None
