"""OpenSearch's answer to a search, read no further than reranking needs and rebuilt from its own bytes."""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.json_bytes import without_member

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

    def page(self, order: Sequence[int], start: int, end: int) -> bytes:
        """Return the answer with the hits `order[start:end]`.

        The k-th hit carries the k-th highest first-stage score: values are OpenSearch's own, `max_score`
        stays right, and hits beyond the window stay below.
        """
        hits = [
            {**self.hits[position], **_score_members(self.hits[rank])}
            for rank, position in enumerate(order[start:end], start)
        ]
        envelope = {**self.envelope, "hits": Raw(msgspec.json.encode(hits))}
        return msgspec.json.encode({**self.top, "hits": Raw(msgspec.json.encode(envelope))})


class VectorField:
    """Our field in a hit: how it is read and cut out, in `_source` and in `fields`."""

    def __init__(self, field: str) -> None:
        self._field = field
        self._path = tuple(field.split("."))
        self._at_end = _end_pattern(self._path)

    def take(self, hit: Hit) -> tuple[Hit, bytes | None]:
        """Return the hit without our field, and the stored vector's bytes, None where it has none."""
        encoded = None
        cleaned = hit
        if "fields" in hit:
            cleaned, encoded = self._take_from_fields(cleaned)
        if "_source" in hit:
            source, from_source = self._take_from_source(memoryview(hit["_source"]).tobytes())
            if from_source is not None:
                cleaned = {**cleaned, "_source": Raw(source)}
                encoded = encoded or from_source
        return cleaned, None if encoded is None else _decoded(encoded)

    def _take_from_source(self, source: bytes) -> tuple[bytes, bytes | None]:
        """Cut the member from where the indexer puts it, the end; else look for it."""
        at_end = self._at_end.search(source, max(0, source.rfind(b',"')))
        if at_end is not None:
            return source[: at_end.start()] + b"}", at_end[1]
        source, value = without_member(source, self._path)
        return source, None if value is None else _text(value)

    def _take_from_fields(self, hit: Hit) -> tuple[Hit, bytes | None]:
        fields = _OBJECT.decode(hit["fields"])
        raw = fields.pop(self._field, None)
        if raw is None:
            return hit, None
        cleaned = {**hit, "fields": Raw(msgspec.json.encode(fields))}
        if not fields:
            del cleaned["fields"]
        values: list[Any] = msgspec.json.decode(raw)
        single = values[0] if len(values) == 1 and isinstance(values[0], str) else ""  # several are unusable
        return cleaned, single.encode("ascii", "replace")


def _end_pattern(path: tuple[str, ...]) -> re.Pattern[bytes]:
    """Match `,"rerank":{"vector":"BASE64"}}` at the end of a source.

    Anchored at the end, the closing braces fix the depth, and a comma followed by a quote cannot stand
    inside a JSON string without ending it: so a match is the member itself, never text that looks like it.
    """
    opening = b"".join(rb'"%s":\{' % re.escape(name.encode()) for name in path[:-1])
    last = re.escape(path[-1].encode())
    return re.compile(rb',%s"%s":"([A-Za-z0-9+/=]*)"%s\}$' % (opening, last, rb"\}" * (len(path) - 1)))


def _text(value: bytes) -> bytes:
    """Return a JSON string's content, empty for any other value: base64 needs no unescaping."""
    return value[1:-1] if value.startswith(b'"') else b""


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
