"""Ingest pipelines that may change the source fields, by the fields that their processors name.

A vector is made from the text as it was sent, so changes to other fields do not matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from opensearch.client import OpenSearchClient
from opensearch.errors import RequestError
from opensearch.index.metadata import Index
from opensearch.index.source_fields import paths_overlap

MAX_DEPTH = 10
"""How deep pipelines that call one another are followed."""

_IN_PLACE = frozenset({
    "append", "bytes", "convert", "dot_expander", "gsub", "html_strip", "join", "json", "lowercase",
    "remove", "set", "sort", "split", "trim", "uppercase", "urldecode",
})  # fmt: skip
"""Processors that change `field`, or write `target_field` if they name one."""

_WITH_DEFAULT = {
    "date": "@timestamp", "fingerprint": "fingerprint", "community_id": "community_id", "geoip": "geoip",
    "ip2geo": "ip2geo", "user_agent": "user_agent",
}  # fmt: skip
"""Processors that read `field` and write `target_field`, and what that is if it is not named."""

_MAPS = frozenset({"text_embedding", "sparse_encoding", "text_chunking"})
"""Processors whose `field_map` maps what is read to what is written."""

_WRITES: Mapping[str, tuple[str, ...]] = {
    "copy": ("target_field",), "csv": ("target_fields",), "kv": ("target_field",),
    "rename": ("field", "target_field"), "text_image_embedding": ("embedding",),
}  # fmt: skip
"""Other processors, and the options that name what they write."""

_HARMLESS = frozenset({"date_index_name", "drop", "fail"})
"""Processors that change no field of the document."""


def pipeline_notes(client: OpenSearchClient, index: Index, source_fields: Sequence[str]) -> list[str]:
    """Return a sentence for each pipeline of an index that changes a source field, or may.

    A pipeline that cannot be read may.
    """
    notes = []
    for name in index.pipelines:
        reason = _PipelineReader(client, source_fields).find_reason(name)
        if reason is not None:
            notes.append(
                f"{index.name} runs the ingest pipeline {name}, which {reason}: vectors of texts that it"
                " changes do not fit"
            )
    return notes


def find_embedded_field(client: OpenSearchClient, index: Index, embedding: str) -> str | None:
    """Return the field whose text an index's own pipelines encode into `embedding`; None if none says so."""
    for name in index.pipelines:
        try:
            found = client.request("GET", f"/_ingest/pipeline/{quote(name, safe='')}")
        except RequestError:
            continue
        for processor in found.get(name, {}).get("processors", []):
            field_map = processor.get("text_embedding", {}).get("field_map", {})
            texts = [str(text) for text, written in field_map.items() if written == embedding]
            if texts:
                return texts[0]
    return None


class _PipelineReader:
    """Reads pipelines, each once, for the source fields that they touch."""

    def __init__(self, client: OpenSearchClient, source_fields: Sequence[str]) -> None:
        self._client = client
        self._source_fields = source_fields
        self._seen: set[str] = set()

    def find_reason(self, name: str, depth: int = 0) -> str | None:
        """Return what the pipeline does to a source field, or why that is not known; None: nothing."""
        if name in self._seen:
            return None
        self._seen.add(name)
        if "{{" in name or depth > MAX_DEPTH:
            return f"calls the pipeline {name}, which cannot be followed"
        try:
            found = self._client.request("GET", f"/_ingest/pipeline/{quote(name, safe='')}")
        except RequestError:
            return "cannot be read, so it may change the source fields"
        return self._check_processors(found.get(name, {}), depth)

    def _check_processors(self, holder: Mapping[str, Any], depth: int) -> str | None:
        """Return the first reason among the processors of a pipeline, or of a processor's `on_failure`."""
        for each in [*holder.get("processors", []), *holder.get("on_failure", [])]:
            for kind, options in each.items():
                reason = self._check_processor(kind, options, depth)
                reason = reason or self._check_processors(
                    {"on_failure": options.get("on_failure", [])}, depth
                )
                if reason is not None:
                    return reason
        return None

    def _check_processor(self, kind: str, options: Mapping[str, Any], depth: int) -> str | None:
        if kind == "pipeline":
            return self.find_reason(str(options.get("name", "")), depth + 1)
        if kind in _HARMLESS:
            return None
        written = _find_written(kind, options)
        if written is None:
            return f"has the processor `{kind}`, which may change any field"
        for field in written:
            if "{{" in field or "*" in field:
                return f"has the processor `{kind}`, which changes {field}"
            touched = [name for name in self._source_fields if paths_overlap(name, _strip_prefix(field))]
            if touched:
                return f"changes {touched[0]} (processor `{kind}`)"
        return None


def _find_written(kind: str, options: Mapping[str, Any]) -> list[str] | None:
    """Return the fields that a processor writes, None if its options do not name them."""
    if _is_open(kind, options):
        return None
    if kind in _IN_PLACE:
        return _list_names(options.get("target_field") or options.get("path") or options.get("field"))
    if kind in _WITH_DEFAULT:
        return _list_names(options.get("target_field") or _WITH_DEFAULT[kind])
    if kind in _MAPS:
        return list(_iterate_leaves(options.get("field_map", {})))
    written = [name for key in _WRITES.get(kind, ()) for name in _list_names(options.get(key))]
    if kind == "copy" and options.get("remove_source"):
        written += _list_names(options.get("source_field"))
    return written if kind in _WRITES else None


def _is_open(kind: str, options: Mapping[str, Any]) -> bool:
    """Whether a processor that is known writes fields that it does not name."""
    return (
        (kind == "remove" and "field" not in options)  # `exclude_field`: everything else is removed
        or (kind == "json" and bool(options.get("add_to_root")))
        or (kind == "kv" and not options.get("target_field"))
    )


def _list_names(value: Any) -> list[str]:  # noqa: ANN401  # any JSON value
    """Return one name, or a list of them."""
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _iterate_leaves(field_map: Mapping[str, Any]) -> Iterator[str]:
    """Yield the written fields; the embedding of a nested field is in the same object as its text."""
    for read, written in field_map.items():
        if isinstance(written, Mapping):
            yield from (f"{read}.{inner}" for inner in _iterate_leaves(written))
        else:
            yield str(written)


def _strip_prefix(field: str) -> str:
    return field.removeprefix("_source.")
