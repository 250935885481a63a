"""Read `_msearch` and `_msearch/template`: pairs of lines, a header with indices and a body with a search.

Only what planning needs is read; an item that is not reranked is forwarded byte for byte.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Raw

from opensearch.rawjson.style import Style, detect_style
from opensearch.search.request import NotUnderstoodError, SearchRequest, read_body, read_parameters
from opensearch.search.response import UnusableResponseError
from opensearch.settings.skip import Skip

_HEADER = msgspec.json.Decoder(dict[str, Any])
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_ARRAY = msgspec.json.Decoder(list[Raw])

MAX_ITEMS = 10_000
"""The most items that are read one by one: no more hits than that are requested in any case."""

DEPTH_OF_AN_ITEM = 2
"""An item lies in an array in an object in the response."""

_OTHER_NAMES = {
    "ccsMinimizeRoundtrips": "ccs_minimize_roundtrips",
    "expandWildcards": "expand_wildcards",
    "allowNoIndices": "allow_no_indices",
    "ignoreThrottled": "ignore_throttled",
    "ignoreUnavailable": "ignore_unavailable",
    "cancelAfterTimeInterval": "cancel_after_time_interval",
    "requestCache": "request_cache",
    "searchType": "search_type",
}
"""How OpenSearch also reads some names in a header line."""

_OF_EVERY_ITEM = frozenset({
    "allow_no_indices", "ccs_minimize_roundtrips", "expand_wildcards", "ignore_throttled",
    "ignore_unavailable", "routing", "search_type",
})  # fmt: skip
"""Parameters of the URL that hold for each item whose header does not say otherwise."""


@dataclass(frozen=True)
class MultiSearchItem:
    """One search of several: its two lines as they came, without line ends.

    `indices` is in the form of a path, `search` in that of a single search.
    """

    header: bytes
    body: bytes
    indices: str
    search: SearchRequest | Skip

    def lines(self, body: bytes | None = None) -> bytes:
        """Return the item's two lines, with its own body or with another, which may span lines."""
        if body is not None and b"\n" in body:
            body = msgspec.json.format(body, indent=-1)
        return b"%b\n%b\n" % (self.header, self.body if body is None else body)


def read_items(target: str, indices: str, body: bytes) -> list[MultiSearchItem]:
    """Read the items of a request whose raw target is `target` and whose path names `indices`.

    Raises:
        NotUnderstoodError: the body is not lines in pairs, or too many, or the parameters are not plain.
    """
    in_url = read_parameters(target)
    if "source" in in_url:
        raise NotUnderstoodError("source")
    shared = {name: value for name, value in in_url.items() if name in _OF_EVERY_ITEM}
    if body.count(b"\n") > 2 * MAX_ITEMS + 1:
        raise NotUnderstoodError("msearch_items")
    lines = body.split(b"\n")
    has_end = lines.pop() == b""
    if len(lines) % 2 and lines[-1] == b"":  # OpenSearch takes one empty line at the end
        lines.pop()
    if not has_end or not lines or len(lines) % 2 or lines[0] == b"":  # its own errors, or a rare form
        raise NotUnderstoodError("lines")
    return [
        _read_item(header, line, indices, shared)
        for header, line in zip(lines[::2], lines[1::2], strict=True)
    ]


def _read_item(header: bytes, body: bytes, indices: str, shared: Mapping[str, str]) -> MultiSearchItem:
    try:
        said = _HEADER.decode(header) if header.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotUnderstoodError("lines") from error
    own = {name: value for name, value in said.items() if name not in ("index", "indices")}
    for name in ("index", "indices"):
        if name in said:
            indices = _join_indices(said[name])
    try:
        parameters = {**shared, **{_OTHER_NAMES.get(key, key): _to_parameter(key, own[key]) for key in own}}
        path = f"/{indices}/_search" if indices else "/_search"
        search: SearchRequest | Skip = SearchRequest(path, parameters, read_body(body))
    except NotUnderstoodError as error:
        search = Skip(error.reason)
    return MultiSearchItem(header, body, indices, search)


def _join_indices(named: Any) -> str:  # noqa: ANN401  # any JSON value
    """Return the indices of a header as a path has them."""
    names = named if isinstance(named, list) else str(named).split(",")
    return ",".join(quote(str(name), safe="*") for name in names)


def _to_parameter(name: str, value: Any) -> str:  # noqa: ANN401  # any JSON value
    """Return a header's value as a URL has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
        case list() if all(isinstance(each, str) for each in value):
            return ",".join(value)
        case _:
            raise NotUnderstoodError(name)


@dataclass(frozen=True)
class MultiSearchResponse:
    """OpenSearch's answer to several searches: `items` in their order, everything as OpenSearch wrote it."""

    top: dict[str, Raw]
    items: list[Raw]
    style: Style

    @classmethod
    def parse(cls, body: bytes, num_items: int) -> "MultiSearchResponse":
        """Read a response to that many searches.

        Raises:
            UnusableResponseError: not the JSON of such a response.
        """
        try:
            top = _OBJECT.decode(body)
            items = _ARRAY.decode(top["responses"])
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError) as error:
            raise UnusableResponseError(f"expected the answer to several searches, found: {error}") from error
        if len(items) != num_items:
            raise UnusableResponseError(
                f"expected {num_items} answers to as many searches, found {len(items)}"
            )
        return cls(top, items, detect_style(body))

    def add_time_of(self, other: "MultiSearchResponse") -> "MultiSearchResponse":
        """Return this response with the time of an earlier one added to its `took`."""
        took = self.top.get("took")
        if took is None or "took" not in other.top:
            return self
        spent_ms = sum(msgspec.json.decode(each, type=int) for each in (took, other.top["took"]))
        return replace(self, top={**self.top, "took": Raw(str(spent_ms).encode())})

    def with_items(self, items: Iterable[Raw]) -> bytes:
        """Return the response with these items in place of its own."""
        top = {**self.top, "responses": self.style.array(items, 1)}
        return bytes(self.style.object(top, 0)) + self.style.end


def read_error_status(item: Raw) -> int | None:
    """Return the status of an item that is an error, None if it is a search response.

    Raises:
        UnusableResponseError: it is no item.
    """
    try:
        members = _OBJECT.decode(item)
        return None if "error" not in members else msgspec.json.decode(members["status"], type=int)
    except (msgspec.DecodeError, KeyError) as error:
        raise UnusableResponseError(f"expected the answer to one search, found: {error}") from error


def msearch_path(path: str) -> str:
    """Return the path of an `_msearch` for that of a `_msearch/template`: what is rendered goes there."""
    parts = [part for part in path.split("/") if part]
    return "/" + "/".join(parts[:-1] if parts[-1:] == ["template"] else parts)
