"""Files that OpenSearch's own tools write: `_bulk` requests, and hits with their `_source`, as documents."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from indexer.document import ID
from indexer.load.lines import Line
from opensearch.rawjson.members import JsonObjectError, read_members

READ_ACTIONS, OTHER_ACTIONS = ("index", "create"), ("update", "delete")

INSTEAD = (
    "send such a file to the proxy:"
    " curl -H 'Content-Type: application/x-ndjson' --data-binary @FILE PROXY/_bulk"
)

_HARMLESS = {"_index", ID, "_type", "op_type"}
"""Metadata of an action that do not affect where or how a document is stored."""

_METADATA = _HARMLESS | {
    "routing", "_routing", "parent", "_parent", "pipeline", "version", "_version", "version_type",
    "_version_type", "if_seq_no", "if_primary_term", "require_alias", "require_data_stream",
    "dynamic_templates", "list_executed_pipelines", "retry_on_conflict", "_retry_on_conflict",
}  # fmt: skip

_HIT = {
    "_index", "_type", ID, "_source", "_score", "_routing", "_parent", "_version", "_seq_no", "_primary_term",
    "_ignored", "_shard", "_node", "_explanation", "_nested", "_timestamp", "_ttl", "sort", "fields",
    "highlight", "inner_hits", "matched_queries", "found",
}  # fmt: skip

Action = tuple[str, Mapping[str, Any]]
"""The operation and its metadata."""


def parse_action(value: object) -> Action | None:
    """Return the action that a JSON value is, or None for any other value."""
    if not isinstance(value, dict) or len(value) != 1:
        return None
    ((operation, metadata),) = value.items()
    is_action = operation in (*READ_ACTIONS, *OTHER_ACTIONS) and isinstance(metadata, dict)
    return (operation, metadata) if is_action and metadata.keys() <= _METADATA else None


def is_hit(value: object) -> bool:
    """Return whether a JSON value is a hit as searches and elasticdump write it."""
    return isinstance(value, dict) and isinstance(value.get("_source"), dict) and value.keys() <= _HIT


def read_bulk_documents(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the documents of a `_bulk` request, each with its action's `_id`; other actions are refused."""
    rest, index = iter(lines), None
    for line in rest:
        action = parse_action(_parse(line))
        if action is None:
            yield replace(line, refusal="expected the action line of a _bulk request, found another one")
            continue
        operation, metadata = action
        if operation == "delete":
            yield replace(line, refusal=_refuse_operation(operation))
            continue
        source, index = next(rest, None), index or metadata.get("_index")
        if source is None:
            yield replace(line, refusal=f"expected a document behind {operation}, found the end of the input")
        elif refusal := _find_refusal(operation, metadata, index):
            yield replace(source, refusal=refusal)
        else:
            identity = metadata.get(ID)
            yield source if identity is None else _add_id(source, source.raw, json.dumps(identity))


def unwrap_hits(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the `_source` of each hit, byte for byte, with the hit's `_id`."""
    for line in lines:
        yield _unwrap(line)


def _unwrap(line: Line) -> Line:
    try:
        text = line.raw.decode()
        found = {member.key: member for member in read_members(text)}
    except (UnicodeDecodeError, JsonObjectError):
        return line  # read as a document, it is refused with the reason
    source, identity = found.get("_source"), found.get(ID)
    if source is None or not isinstance(source.value, dict):
        return replace(line, refusal="expected a hit with its _source, as in the first line, found none")
    for key in ("_routing", "_parent"):
        if key in found:
            return replace(line, refusal=f"expected a document without routing, found {key}: {INSTEAD}")
    raw = text[source.value_start : source.end].encode()
    if identity is None or identity.value is None:
        return replace(line, raw=raw)
    return _add_id(line, raw, text[identity.value_start : identity.end])


def _find_refusal(operation: str, metadata: Mapping[str, Any], index: object) -> str | None:
    """Return why an action is not read; `index` is the one that the first action names."""
    if operation not in READ_ACTIONS:
        return _refuse_operation(operation)
    for key, value in metadata.items():
        if key not in _HARMLESS and value not in (None, False):
            return f"expected an action with _index and _id alone, found {key}: {INSTEAD}"
    if metadata.get("_index", index) != index:
        return f"expected documents of {index} alone, as before, found one of {metadata['_index']}: {INSTEAD}"
    return None


def _refuse_operation(operation: str) -> str:
    return f"expected the actions {' and '.join(READ_ACTIONS)}, found {operation}: {INSTEAD}"


def _add_id(line: Line, raw: bytes, identity: str) -> Line:
    """Return a line with `_id` put before a document's other members."""
    body = raw.lstrip()
    if not body.startswith(b"{"):
        return replace(line, raw=raw)  # read as a document, it is refused with the reason
    rest = body[1:].lstrip()
    comma = b"" if rest.startswith(b"}") else b","
    return replace(line, raw=b'{"%s":%s%s%s' % (ID.encode(), identity.encode(), comma, body[1:]))


def _parse(line: Line) -> object:
    try:
        return json.loads(line.raw)
    except (ValueError, RecursionError):
        return None
