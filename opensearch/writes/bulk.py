"""Bulk writes: documents' bytes in, one result a document out; what OpenSearch puts off is sent again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from opensearch.client import BUSY, OpenSearchClient, index_path
from opensearch.errors import BusyError, TooLargeError, UnreachableError, read_reason
from opensearch.retry import Retries, RetryPolicy

LARGE_BYTES = 8_000_000
MAX_TRIES_OF_LARGE = 6
"""A larger document that is refused alone this often is rejected: it must not end the run for the others."""


@dataclass(frozen=True)
class BulkItem:
    """One document to be indexed: `source` is its JSON on one line, UTF-8, sent byte for byte.

    `conditions` are further members of its action line: `if_seq_no`, `routing`, `version` and so on. With the
    action `update`, `source` is the body of an update.
    """

    id: str
    source: bytes
    conditions: Mapping[str, Any] = field(default_factory=dict)
    action: Literal["index", "update"] = "index"


@dataclass(frozen=True)
class BulkResult:
    """OpenSearch's response for one document: `reason` is None if it was indexed."""

    status: int
    reason: str | None


class Bulk:
    """Writes documents to one index.

    Every item carries its id, so that sending one twice after a lost connection does no harm. A whole
    request that is put off or too large is halved: OpenSearch may have capacity for less.

    Args:
        upstream: the OpenSearch.
        index: a concrete index.
        retry_policy: how long to go on without any success.
        waiting: called with the reason before each wait.
    """

    def __init__(
        self,
        upstream: OpenSearchClient,
        index: str,
        retry_policy: RetryPolicy,
        waiting: Callable[[str], None],
    ) -> None:
        self._upstream = upstream
        self._path = index_path(index, "_bulk")
        self._retry_policy = retry_policy
        self._waiting = waiting

    def write(self, items: Sequence[BulkItem]) -> list[BulkResult]:
        """Index the items and return their results, in order. Each id may be there once.

        Raises:
            UnreachableError: no answer within the policy's time.
            BusyError: OpenSearch put everything off for that long.
            RequestError: OpenSearch refuses the whole request.
        """
        results: dict[int, BulkResult] = {}
        pending, size = list(range(len(items))), len(items)
        retries = Retries(self._retry_policy, self._waiting)
        while pending:
            part, rest = pending[:size], pending[size:]
            try:
                done = dict(zip(part, self._send([items[i] for i in part]), strict=True))
            except (UnreachableError, BusyError) as problem:
                size = max(1, len(part) // 2)
                retries.wait_after(problem)
                alone = len(part) == 1 and isinstance(problem, BusyError) and _is_large(items[part[0]])
                if alone and retries.failures > MAX_TRIES_OF_LARGE:
                    results[part[0]] = BulkResult(429, str(problem))  # no memory for this one
                    pending = rest
                continue
            put_off = [i for i in part if done[i].status in BUSY]
            results |= {i: result for i, result in done.items() if result.status not in BUSY}
            pending = put_off + rest
            if len(put_off) < len(part):
                retries.record_success()
                size *= 2
            if put_off:
                retries.wait_after(BusyError(f"{done[put_off[0]].status} {done[put_off[0]].reason}"))
        return [results[i] for i in range(len(items))]

    def _send(self, items: Sequence[BulkItem]) -> list[BulkResult]:
        """Send one request, in halves if it is too large as a whole."""
        try:
            response = self._upstream.request("POST", self._path, build_body(items))
        except TooLargeError as error:
            if len(items) == 1:
                return [BulkResult(413, str(error))]
            middle = len(items) // 2
            return self._send(items[:middle]) + self._send(items[middle:])
        return [_read_result(*outcome.values()) for outcome in response["items"]]


def build_body(items: Sequence[BulkItem]) -> bytes:
    """Return the NDJSON of a `_bulk` request to one index."""
    lines: list[bytes] = []
    for item in items:
        action = {item.action: {"_id": item.id, **item.conditions}}
        lines += (json.dumps(action).encode(), item.source)
    return b"\n".join([*lines, b""])


def _is_large(item: BulkItem) -> bool:
    return len(item.source) > LARGE_BYTES


def _read_result(outcome: dict[str, Any]) -> BulkResult:
    error = outcome.get("error")
    return BulkResult(outcome["status"], None if error is None else read_reason(error))
