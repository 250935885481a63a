"""Read OpenSearch's response to a search as far as reranking needs, and rebuild it from its own bytes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec
from msgspec import Raw

from opensearch.fields.vector_field import Hit
from opensearch.rawjson.filter_path import FilterPath
from opensearch.rawjson.style import Style, detect_style
from opensearch.rawjson.surrogates import swap_surrogates
from opensearch.search.window_request import SEQ_NO, HitName

_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_HITS = msgspec.json.Decoder(list[dict[str, Raw]])
_NUMBER = msgspec.json.Decoder(float)
_STRING = msgspec.json.Decoder(str)
_NUMBERS = msgspec.json.Decoder(list[int])


class _SearchedShards(msgspec.Struct):
    failed: int
    total: int = 1


_SHARDS = msgspec.json.Decoder(_SearchedShards)


class UnusableResponseError(Exception):
    """The response is partial, or is not one to a search: it must not be reordered.

    `warnings` are its `Warning` headers, as name and value: OpenSearch sends a warning once for each
    `X-Opaque-Id`, so a response that replaces it has none.
    """

    def __init__(self, message: str, warnings: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.warnings = warnings


@dataclass(frozen=True)
class SearchResponse:
    """A complete answer: `hits` in first-stage order, everything else as OpenSearch wrote it."""

    top: dict[str, Raw]
    envelope: dict[str, Raw]
    hits: list[Hit]
    style: Style
    num_bytes: int

    @classmethod
    def parse(cls, body: bytes, *, is_filtered: bool = False, within: int = 0) -> "SearchResponse":
        """Read a response, or one that lies `within` that many objects and arrays.

        `filter_path` leaves empty hits out, and an empty list of them.

        Raises:
            UnusableResponseError: not JSON of a search, timed out, or a shard failed.
        """
        try:
            return cls._parse(body, is_filtered=is_filtered, within=within)
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError) as error:
            halves = swap_surrogates(body)
            if halves is None:
                raise UnusableResponseError(f"expected the answer to a search, found: {error}") from error
        try:
            return cls._parse(halves.text, is_filtered=is_filtered, within=within)._map_values(halves.restore)
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError) as error:
            raise UnusableResponseError(f"expected the answer to a search, found: {error}") from error

    @classmethod
    def _parse(cls, body: bytes, *, is_filtered: bool, within: int) -> "SearchResponse":
        if not body.isascii():
            body.decode()  # msgspec checks a text only when it is read, and would raise there
        top = _OBJECT.decode(body)
        _check_complete(top)
        envelope = _OBJECT.decode(top.get("hits", b"{}") if is_filtered else top["hits"])
        hits = _HITS.decode(envelope.get("hits", b"[]") if is_filtered else envelope["hits"])
        return cls(top, envelope, hits, detect_style(body, within), len(body))

    def _map_values(self, changed: Callable[[bytes], bytes]) -> "SearchResponse":
        """Return the response with every value changed."""

        def members(found: dict[str, Raw]) -> dict[str, Raw]:
            return {name: Raw(changed(bytes(raw))) for name, raw in found.items()}

        return replace(
            self, top=members(self.top), envelope=members(self.envelope), hits=[*map(members, self.hits)]
        )

    @property
    def num_shards(self) -> int:
        """How many shards were searched."""
        return max(1, _SHARDS.decode(self.top["_shards"]).total)

    def scores(self) -> list[float]:
        """Return each hit's `_score`.

        Raises:
            UnusableResponseError: a hit has none, or `null`.
        """
        try:
            return [_NUMBER.decode(hit["_score"]) for hit in self.hits]
        except (msgspec.DecodeError, KeyError) as error:
            raise UnusableResponseError(f"expected a _score in every hit, found: {error}") from error

    def with_hits(
        self,
        hits: Sequence[Hit],
        *,
        max_score: Raw | None = None,
        total: int | None = None,
        beside: dict[str, Raw] | None = None,
        filter_path: FilterPath | None = None,
    ) -> bytes:
        """Return the response with these hits in place of its own.

        `max_score` replaces the response's own unless that is absent or null, and `total` its number of hits
        unless that is absent; `beside` is added at the top.
        """
        style = self.style
        envelope = dict(self.envelope)
        if filter_path is not None:
            hits = [shown for shown in (filter_path.hit(hit, style) for hit in hits) if shown]
        if hits or filter_path is None:
            envelope["hits"] = style.array([style.object(hit, 3) for hit in hits], 2)
        else:
            envelope.pop("hits", None)
        if max_score is not None and envelope.get("max_score", _NULL) != _NULL:
            envelope["max_score"] = max_score
        if total is not None and "total" in envelope:
            envelope["total"] = _write_total(total, envelope["total"], style)
        top = {**self.top, "hits": style.object(envelope, 1), **(beside or {})}
        if filter_path is not None:
            shown = top if envelope else {name: raw for name, raw in top.items() if name != "hits"}
            top = filter_path.top(shown, style)
        return bytes(style.object(top, 0)) + style.end


_NULL = Raw(b"null")


def _write_total(total: int, before: Raw, style: Style) -> Raw:
    """Return an exact number of hits in the form that the response's own has."""
    value = Raw(str(total).encode())
    is_number = bytes(before)[:1] != b"{"
    return value if is_number else style.object({"value": value, "relation": Raw(b'"eq"')}, 2)


def read_hit_name(hit: Hit, field: str | None) -> HitName:
    """Return the name that only this hit has; `field` holds the vectors, None if the `_id` names it.

    Raises:
        UnusableResponseError: it does not say it.
    """
    try:
        fields = _OBJECT.decode(hit["fields"])
        (seq_no,) = _NUMBERS.decode(fields[SEQ_NO])
        value = _STRING.decode(hit["_id"]) if field is None else _read_vector(fields.get(field, Raw(b"[]")))
        return HitName(_STRING.decode(hit["_index"]), seq_no, value)
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise UnusableResponseError(f"expected _index and {SEQ_NO} in every hit, found: {error}") from error


def _read_vector(raw: Raw) -> str:
    """Return a field's values as one text; `fields` gives them once more, padded, beside doc values."""
    values: list[object] = msgspec.json.decode(raw)
    return ",".join(sorted({str(value).rstrip("=") for value in values}))


def _check_complete(top: dict[str, Raw]) -> None:
    shards = _SHARDS.decode(top["_shards"])
    if top["timed_out"] != Raw(b"false") or shards.failed:
        raise UnusableResponseError(f"expected a complete answer, found timed_out or failed shards: {shards}")
