"""Where records are written: the index `ubi_queries`, or a Data Prepper that writes them there."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from plugin.http.headers import Headers
from plugin.ubi.indices import QUERIES
from plugin.ubi.record import UbiRecord
from plugin.upstream.client import Exchange, Upstream

CHECKED_S = 5.0
"""How long it is believed that the index is there."""

WRITTEN = "written"

_MAPPING = f"/{QUERIES}/_mapping?filter_path=*.mappings.properties.user_query"
_BULK = "/_bulk?filter_path=items.*.status,items.*.error.type,items.*.error.reason"
_NDJSON = ("Content-Type", "application/x-ndjson")
_JSON = ("Content-Type", "application/json")
_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_DENIED = frozenset({401, 403})
_DONE = frozenset({200, 201, 409})  # 409: an earlier attempt has written it


class _BulkResult(msgspec.Struct):
    status: int = 0
    error: dict[str, Any] = {}


class _BulkItem(msgspec.Struct):
    create: _BulkResult = msgspec.field(default_factory=_BulkResult)


class _BulkAnswer(msgspec.Struct):
    items: list[_BulkItem] = []


_ANSWER = msgspec.json.Decoder(_BulkAnswer)
_MAPPINGS = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class RecordResult:
    """What was done with a record: `written`, lost for a reason, or None if it may be written later."""

    result: str | None
    detail: str = ""


class UnwritableError(Exception):
    """No record of a request was written; `reason` is as `RecordResult.result`."""

    def __init__(self, reason: str | None, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RecordTarget(Protocol):
    """Takes records."""

    def write(self, records: Sequence[UbiRecord], headers: Headers) -> list[RecordResult]:
        """Write records in the name of these headers, and return a result for each.

        Raises:
            UnwritableError: none was written.
            UpstreamError: the target cannot be asked.
        """
        ...

    def close(self) -> None:
        """Close the connections that are the target's own."""
        ...


class IndexTarget:
    """The index `ubi_queries`. A record has an id of its own: a request that is repeated writes it once."""

    def __init__(self, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> None:
        self._upstream = upstream
        self._clock = clock
        self._checked_s, self._takes_objects = float("-inf"), False

    def write(self, records: Sequence[UbiRecord], headers: Headers) -> list[RecordResult]:
        """Write records, as `RecordTarget` says."""
        self._check_index(headers)
        answer = self._ask("POST", _BULK, (*headers, _NDJSON), self._build_lines(records))
        try:
            items = _ANSWER.decode(answer.body).items
        except msgspec.DecodeError as error:
            raise UnwritableError(None, str(error)) from error
        if len(items) != len(records):
            raise UnwritableError(None, f"expected {len(records)} results, found {len(items)}")
        return [_read_result(item.create) for item in items]

    def close(self) -> None:
        """Do nothing: the connections are the proxy's."""

    def _check_index(self, headers: Headers) -> None:
        """Check that the index is there, since a write would create it with a wrong mapping.

        Raises:
            UnwritableError: it is not, or this account may not know.
            UpstreamError: OpenSearch cannot be asked.
        """
        if self._clock() - self._checked_s < CHECKED_S:
            return
        answer = self._ask("GET", _MAPPING, headers)
        try:
            found = _MAPPINGS.decode(answer.body or b"{}")
            mappings = [each["mappings"]["properties"]["user_query"] for each in found.values()]
        except (msgspec.DecodeError, LookupError, TypeError):
            mappings = []
        self._takes_objects = any(_is_object(each) for each in mappings)
        self._checked_s = self._clock()

    def _ask(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Exchange:
        answer = self._upstream.exchange(method, target, headers, body)
        if answer.status != 200:
            self._checked_s = float("-inf")
            raise _build_error(answer, "no_index" if answer.status == 404 else "rejected")
        return answer

    def _build_lines(self, records: Iterable[UbiRecord]) -> bytes:
        """Return the body of a `_bulk`."""
        lines: list[object] = []
        for each in records:
            lines += [
                {"create": {"_index": QUERIES, "_id": each.query_response_id}},
                _shape_user_query(each, takes_objects=self._takes_objects),
            ]
        return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


class DataPrepperTarget:
    """The `http` source of a Data Prepper pipeline, which takes an array of documents.

    Args:
        upstream: the Data Prepper.
        path: where its source listens.
        headers: its credentials.
    """

    def __init__(self, upstream: Upstream, path: str, headers: Headers) -> None:
        self._upstream, self._path, self._headers = upstream, path, headers

    def write(self, records: Sequence[UbiRecord], _headers: Headers) -> list[RecordResult]:
        """Write records, as `RecordTarget` says; callers' credentials are for OpenSearch alone."""
        body = msgspec.json.encode([_shape_user_query(each, takes_objects=False) for each in records])
        answer = self._upstream.exchange("POST", self._path, (*self._headers, _JSON), body)
        if answer.status != 200:
            raise _build_error(answer, "rejected")
        return [RecordResult(WRITTEN)] * len(records)

    def close(self) -> None:
        """Close the connections to the Data Prepper."""
        self._upstream.close()


def _build_error(answer: Exchange, reason: str) -> UnwritableError:
    """Return what an answer to a whole request says; `reason` is for those that will not change."""
    lost = "denied" if answer.status in _DENIED else reason
    found = answer.body[:200].decode("utf-8", "replace")
    return UnwritableError(
        None if answer.status in _TEMPORARY else lost, f"answered {answer.status}: {found}"
    )


def _read_result(result: _BulkResult) -> RecordResult:
    if result.status in _DONE:
        return RecordResult(WRITTEN)
    detail = _describe_error(result.error)
    if result.status in _TEMPORARY:
        return RecordResult(None, detail)
    return RecordResult("denied" if result.status in _DENIED else "rejected", detail)


def _describe_error(error: Mapping[str, Any]) -> str:
    """Return why OpenSearch refused a document, without the user's words that it may quote."""
    reason = str(error.get("reason")).partition(" Preview of field's value")[0]
    return f"{error.get('type')}: {reason}"[:300]


def _is_object(mapping: Any) -> bool:  # noqa: ANN401  # any JSON value
    """Whether a field's mapping takes objects and no texts."""
    if not isinstance(mapping, dict):
        return False
    return "properties" in mapping or mapping.get("type") in ("object", "flat_object")


def _shape_user_query(record: UbiRecord, *, takes_objects: bool) -> UbiRecord:
    """Return a record whose `user_query` has the form that the index takes: a text, or an object."""
    given = record.user_query
    if given is None or isinstance(given, dict) == takes_objects:
        return record
    shaped = {"query": given} if takes_objects else msgspec.json.encode(given).decode()
    return msgspec.structs.replace(record, user_query=shaped)
