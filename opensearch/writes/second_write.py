"""Whether a document may be written a second time, after a client's own write, without a loss.

A second write starts from `_source`. What the mapping does not keep, and the client's write has brought, is
searchable now and would not be after the second one. An update of the client starts from `_source` too, so
after it nothing is left to lose but what its own request has brought.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opensearch.rawjson.members import JsonObjectError
from opensearch.writes.operation import Operation
from opensearch.writes.target import WriteTarget
from opensearch.writes.update import UpdateBody


@dataclass(frozen=True)
class Refusal:
    """Why a document is not written a second time: a short `reason` for headers, and a sentence."""

    reason: str
    problem: str


APPEND_ONLY = Refusal(
    "append_only",
    "expected an index that takes a second write of a document, found `index.append_only.enabled: true`."
    " Write through the proxy without an ingest pipeline: the vector is then in the first write",
)


def find_refusal(
    target: WriteTarget, operation: Operation, result: str, *, by_pipeline: bool
) -> Refusal | None:
    """Return why the document of an operation must not be written again; None if it may.

    Args:
        target: the index that the document is in now.
        operation: the client's write.
        result: OpenSearch's: `created`, `updated`, `noop`, or empty if it is not known.
        by_pipeline: whether an ingest pipeline may have changed the document.
    """
    if target.is_append_only:
        return APPEND_ONLY
    problem = target.kept.problem
    if problem is None:
        return None
    if result in ("created", "updated") and not by_pipeline and not _may_add_unkept(target, operation):
        return None
    return Refusal("source", problem)


def _may_add_unkept(target: WriteTarget, operation: Operation) -> bool:
    """Return whether an operation may bring what `_source` does not keep."""
    if operation.source is None:  # too long to be read
        return True
    is_update = operation.action == "update"
    return _judge(_update_adds_unkept if is_update else _document_adds_unkept, target, operation.source)


def _judge(adds_unkept: Callable[[WriteTarget, bytes], bool], target: WriteTarget, source: bytes) -> bool:
    try:
        return adds_unkept(target, source)
    except (ValueError, RecursionError, JsonObjectError):
        return True


def _document_adds_unkept(target: WriteTarget, source: bytes) -> bool:
    values: Any = json.loads(source, parse_int=float)
    return not isinstance(values, dict) or target.kept.drops(values)


def _update_adds_unkept(target: WriteTarget, source: bytes) -> bool:
    body = UpdateBody.parse(source)
    if body.has_script and target.kept.may_drop_of_script(body.value("script"), body.text):
        return True
    return any(target.kept.drops(part) for name in ("doc", "upsert") if (part := body.value(name)))
