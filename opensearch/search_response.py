"""OpenSearch's answer to a search, read no further than reranking needs and rebuilt from its own bytes."""

import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.json_members import JsonObjectError, without_path

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_HITS = msgspec.json.Decoder(list[dict[str, Raw]])
_NUMBER = msgspec.json.Decoder(float)


class _Shards(msgspec.Struct):
    failed: int


_SHARDS = msgspec.json.Decoder(_Shards)

Hit = dict[str, Raw]


class UnusableResponseError(Exception):
    """The answer is partial, or not what a search answers: it must not be reordered."""


@dataclass(frozen=True)
class SearchResponse:
    """A complete answer: `hits` in first-stage order, everything else as OpenSearch wrote it."""

    top: dict[str, Raw]
    envelope: dict[str, Raw]
    hits: list[Hit]

    @classmethod
    def parse(cls, body: bytes) -> "SearchResponse":
        """Read an answer.

        Raises:
            UnusableResponseError: not JSON of a search, timed out, or a shard failed.
        """
        try:
            top = _OBJECT.decode(body)
            _check_complete(top)
            envelope = _OBJECT.decode(top["hits"])
            return cls(top, envelope, _HITS.decode(envelope["hits"]))
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
            raise UnusableResponseError(f"expected the answer to a search, found: {error}") from error

    def scores(self) -> list[float]:
        """Return each hit's `_score`.

        Raises:
            UnusableResponseError: a hit has none, or `null`.
        """
        try:
            return [_NUMBER.decode(hit["_score"]) for hit in self.hits]
        except (msgspec.DecodeError, KeyError) as error:
            raise UnusableResponseError(f"expected a _score in every hit, found: {error}") from error

    def page(self, order: Sequence[int], start: int, end: int, cut: Callable[[Hit], Hit]) -> bytes:
        """Return the answer with the hits `order[start:end]`, each as `cut` leaves it.

        The k-th hit carries the k-th highest first-stage score: values are OpenSearch's own, `max_score`
        stays right, and hits beyond the window stay below.
        """
        hits = [
            {**cut(self.hits[position]), **_score_members(self.hits[rank])}
            for rank, position in enumerate(order[start:end], start)
        ]
        envelope = {**self.envelope, "hits": Raw(msgspec.json.encode(hits))}
        return msgspec.json.encode({**self.top, "hits": Raw(msgspec.json.encode(envelope))})


class VectorField:
    """Our field in a hit: how it is read and cut out, in `_source` and in `fields`."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._path = tuple(field.split("."))
        self._opening, self._closing = _as_last_member(self._path)

    def packed(self, hit: Hit) -> bytes | None:
        """Return the stored vector's bytes, None where the hit has no single one."""
        encoded = self._from_fields(hit) if "fields" in hit else None
        if encoded is None and "_source" in hit:
            encoded = self._from_source(bytes(hit["_source"]))
        return None if encoded is None else _decoded(encoded)

    def cut(self, hit: Hit) -> Hit:
        """Return the hit without our field; an object that held nothing else goes with it."""
        cut = dict(hit)
        if "fields" in hit:
            fields = _OBJECT.decode(hit["fields"])
            if fields.pop(self._field, None) is not None:
                cut["fields"] = Raw(msgspec.json.encode(fields))
            if not fields:
                del cut["fields"]
        if "_source" in hit:
            source = bytes(hit["_source"])
            start = self._start_at_end(source)
            cut["_source"] = Raw(source[:start] + b"}" if start >= 0 else self._looked_for(source)[0])
        return cut

    def _from_source(self, source: bytes) -> bytes | None:
        start = self._start_at_end(source)
        if start >= 0:
            return source[start + len(self._opening) : -len(self._closing)]
        value = self._looked_for(source)[1]
        return value.encode("ascii", "replace") if isinstance(value, str) else None

    def _looked_for(self, source: bytes) -> tuple[bytes, Any]:
        """Return the source without our member, wherever it stands, and the member's value."""
        if self._path[-1].encode() not in source:
            return source, None
        try:
            rest, member = without_path(source.decode(), self._path)
        except (JsonObjectError, UnicodeDecodeError):  # nothing that we can read, so nothing of ours
            return source, None
        return (source, None) if member is None else (rest.encode(), member.value)

    def _from_fields(self, hit: Hit) -> bytes | None:
        raw = _OBJECT.decode(hit["fields"]).get(self._field)
        if raw is None:
            return None
        values: list[Any] = msgspec.json.decode(raw)
        single = values[0] if len(values) == 1 and isinstance(values[0], str) else ""  # several are unusable
        return single.encode("ascii", "replace")

    def _start_at_end(self, source: bytes) -> int:
        """Return where `,"rerank":{"vector":"BASE64"}}` begins that ends the source, -1 where it does not.

        The indexer puts it there. Anchored at the end, the closing braces fix its depth, and a comma followed
        by a quote cannot stand inside a JSON string without ending it: what is found is the member itself,
        never text that looks like it.
        """
        if not source.endswith(self._closing):
            return -1
        start, end = source.rfind(self._opening), len(source) - len(self._closing)
        is_whole = start >= 0 and source.find(b'"', start + len(self._opening)) == end
        return start if is_whole else -1


def _as_last_member(path: tuple[str, ...]) -> tuple[bytes, bytes]:
    """Return what stands before and after the value where the field is a source's last member."""
    opening = b":{".join(msgspec.json.encode(name) for name in path)
    return b"," + opening + b':"', b'"' + b"}" * len(path)


def _decoded(encoded: bytes) -> bytes | None:
    """Decode base64 with or, as doc values give it, without padding; None where it is none."""
    try:
        return binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4))
    except binascii.Error:
        return None


def _score_members(hit: Hit) -> Hit:
    return {name: hit[name] for name in ("_score", "sort") if name in hit}


def _check_complete(top: dict[str, Raw]) -> None:
    shards = _SHARDS.decode(top["_shards"])
    if top["timed_out"] != msgspec.Raw(b"false") or shards.failed:
        raise UnusableResponseError(f"expected a complete answer, found timed_out or failed shards: {shards}")
