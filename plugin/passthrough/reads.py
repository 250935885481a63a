"""Reads of documents: passed through, without vector fields in the response."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from opensearch.endpoints import Api, Endpoint
from opensearch.fields.vector_field import vector_field
from opensearch.search.request import NotUnderstoodError, read_parameters
from opensearch.search.requested_fields import asks_in_documents, asks_in_url
from plugin.http.messages import Request, Response
from plugin.passthrough.forward import Redaction, forward_request
from plugin.passthrough.hidden_fields import FieldLookup
from plugin.upstream.client import Upstream

READS = frozenset({Api.GET, Api.SOURCE, Api.MULTI_GET, Api.EXPLAIN, Api.SCROLL})
"""The APIs that this handler answers."""

MAX_BODY_BYTES = 10 * 1024 * 1024
"""A longer `_mget` is passed on unread: even fields that it asks for by name are removed."""


class ReadHandler:
    """Answers reads in front of one OpenSearch."""

    def __init__(self, upstream: Upstream, lookup: FieldLookup) -> None:
        self._upstream = upstream
        self._lookup = lookup

    def answer(self, request: Request, endpoint: Endpoint) -> Response:
        """Answer one read.

        Raises:
            UpstreamError: OpenSearch cannot be asked.
        """
        read = request.stream.read(MAX_BODY_BYTES + 1) if endpoint.api is Api.MULTI_GET else b""
        asked = _Asked(_read_parameters(request), _read_documents(read))
        if endpoint.api is Api.SOURCE:
            redact = self._build_source_redaction(request, endpoint, asked)
        elif endpoint.api in (Api.GET, Api.EXPLAIN) and not self._lookup.find_fields(
            request, endpoint.indices
        ):
            redact = None
        else:
            redact = self._lookup.build_redaction(request, asked.asks_for, endpoint.indices)
        may_repeat = endpoint.api is not Api.SCROLL  # asked for twice, a page would be skipped
        return forward_request(
            self._upstream, request, redact, read=read, may_repeat=may_repeat, keeps_coding=True
        )

    def _build_source_redaction(
        self, request: Request, endpoint: Endpoint, asked: "_Asked"
    ) -> Redaction | None:
        fields = [
            field
            for field in self._lookup.find_fields(request, endpoint.indices)
            if not asked.asks_for(field)
        ]
        if not fields:
            return None

        def redact(source: bytes) -> bytes:
            for field in fields:
                source = vector_field(field).remove_from_source(source)
            return source

        return redact


def read_url_predicate(request: Request) -> Callable[[str], bool]:
    """Return a predicate: whether a request's parameters ask for a field by name."""
    return _Asked(_read_parameters(request), None).asks_for


class _Asked:
    """The fields that a read names, in its URL or its documents."""

    def __init__(self, parameters: Mapping[str, str], documents: Any) -> None:  # noqa: ANN401  # any JSON
        self._parameters = parameters
        self._documents = documents

    def asks_for(self, field: str) -> bool:
        return asks_in_url(self._parameters, field) or asks_in_documents(self._documents, field)


def _read_parameters(request: Request) -> dict[str, str]:
    try:
        return read_parameters(request.target)
    except NotUnderstoodError:
        return {}


def _read_documents(read: bytes) -> Any:  # noqa: ANN401  # any JSON
    try:
        return msgspec.json.decode(read) if read and len(read) <= MAX_BODY_BYTES else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
