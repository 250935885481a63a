"""Read a client's search as OpenSearch will: the URL's parameters win over the body.

The two add up for `sort` and `docvalue_fields`, as in OpenSearch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

from opensearch.rawjson.lenient_values import is_true, read_whole_number, read_whole_number_of_url
from opensearch.rawjson.members import JsonObjectError
from opensearch.rawjson.members import read_members as json_members
from opensearch.search.parameters import OF_THE_FORMAT, WIDENED_KEYS, WIDENED_PARAMETERS
from opensearch.search.sort_clauses import Clause, is_descending_score, read_body_clauses, read_url_clauses

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
DEFAULT_SIZE = 10
DEFAULT_RESCORE_WINDOW = 10

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotUnderstoodError(Exception):
    """This version cannot read the request, though OpenSearch may; `reason` says why, in a word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class SearchRequest:
    """One `_search`: the path's index part as it was written, its parameters and its body's members."""

    path: str
    parameters: Mapping[str, str]
    body: Mapping[str, msgspec.Raw]

    @classmethod
    def parse(cls, target: str, body: bytes) -> "SearchRequest":
        """Read the raw request target and the body, which may be in the parameter `source`.

        Raises:
            NotUnderstoodError: the body is not plain JSON (OpenSearch also takes comments, YAML, CBOR, ...),
                or the parameters are split or encoded in a rare way.
        """
        path, _, query = target.partition("?")
        parameters = _parse_query(query)
        if "source" in parameters:
            parameters, body = _take_source(parameters, body)
        return cls(path, parameters, read_body(body))

    @property
    def from_(self) -> int:
        """First hit of the page, counted from 0.

        Raises:
            NotUnderstoodError: not a whole number of at least 0.
        """
        return self._read_count("from", 0)

    @property
    def size(self) -> int:
        """Hits of the page.

        Raises:
            NotUnderstoodError: not a whole number of at least 0.
        """
        return self._read_count("size", DEFAULT_SIZE)

    @property
    def query(self) -> Any:  # noqa: ANN401  # any JSON
        """The decoded query, None if there is none; `q` in the URL is a `query_string`."""
        if "q" in self.parameters:
            return {"query_string": {"query": self.parameters["q"]}}
        return self.member("query")

    @property
    def sort(self) -> list[Clause]:
        """What hits are sorted by, the body's first, then the URL's; empty for the default."""
        return [*read_body_clauses(self.member("sort")), *read_url_clauses(self.parameters.get("sort", ""))]

    @property
    def sorts_by_score(self) -> bool:
        """Whether hits come by descending `_score` alone, said or by default."""
        return len(self.sort) <= 1 and all(map(is_descending_score, self.sort))

    @property
    def breaks_score_ties(self) -> bool:
        """Whether hits come by descending `_score` first, but then by something else."""
        return len(self.sort) > 1 and is_descending_score(self.sort[0])

    @property
    def is_pretty(self) -> bool:
        """Whether the response is to be indented."""
        return self.parameters.get("pretty", "false") != "false"

    @property
    def filters_source(self) -> bool:
        """Whether the client limits what it wants of `_source`, or asks for other fields in its place."""
        in_url = any(name in self.parameters for name in ("_source", "_source_includes", "_source_excludes"))
        stored = "stored_fields" in self.parameters or "stored_fields" in self.body
        in_its_place = stored or "script_fields" in self.body
        return in_url or in_its_place or self.member("_source") not in (None, True)

    @property
    def stored_fields(self) -> list[str]:
        """The requested stored fields; `_none_` leaves even `_id` out."""
        return self._list_names("stored_fields")

    @property
    def docvalue_fields(self) -> list[Any]:
        """The requested doc values, the body's and the URL's.

        Raises:
            NotUnderstoodError: no list.
        """
        in_body = self.member("docvalue_fields")
        if in_body is not None and not isinstance(in_body, list):
            raise NotUnderstoodError("docvalue_fields")
        return [*(in_body or []), *self._list_in_url("docvalue_fields")]

    @property
    def rescore_windows(self) -> list[int]:
        """How many hits each `rescore` looks at.

        OpenSearch ranks the hits beyond it by their own scores, which may be higher. So a request for more
        hits than that may have other first hits.
        """
        rescore = self.member("rescore")
        each = rescore if isinstance(rescore, list) else [rescore]
        sizes = [one.get("window_size", DEFAULT_RESCORE_WINDOW) for one in each if isinstance(one, dict)]
        return [size for size in map(read_whole_number, sizes) if size is not None and size > 0]

    @property
    def explains(self) -> bool:
        """Whether OpenSearch is asked to explain each hit's score; a parameter without a value says no."""
        return is_true(self.parameters["explain"] if "explain" in self.parameters else self.member("explain"))

    @property
    def ext(self) -> dict[str, msgspec.Raw]:
        """The members of the body's `ext`, none if there is no `ext`.

        Raises:
            NotUnderstoodError: no object.
        """
        try:
            return _OBJECT.decode(self.body["ext"]) if "ext" in self.body else {}
        except msgspec.ValidationError as error:
            raise NotUnderstoodError("ext") from error

    def member(self, name: str) -> Any:  # noqa: ANN401  # any JSON
        """Decode one member of the body, None if it is absent."""
        raw = self.body.get(name)
        return None if raw is None else msgspec.json.decode(raw)

    def with_body(self, body: Mapping[str, msgspec.Raw]) -> "SearchRequest":
        """Return the same request with another body."""
        return replace(self, body=body)

    def encode_body(self) -> bytes:
        """Return the body as JSON, empty if it has no members."""
        return msgspec.json.encode(self.body) if self.body else b""

    def find_unknown_name(self) -> str | None:
        """Return the first parameter or body key that this version does not widen safely, None if none."""
        names = [*self.parameters.keys() - WIDENED_PARAMETERS, *self.body.keys() - WIDENED_KEYS]
        return min(names, default=None)

    def target(self, parameters: Mapping[str, str] | None = None) -> str:
        """Return the raw target for this path, with its own parameters or with others."""
        chosen = self.parameters if parameters is None else parameters
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in chosen.items())
        return f"{self.path}?{query}" if query else self.path

    def parameters_without(self, *names: str) -> dict[str, str]:
        """Return the parameters without these and without those that only format the response."""
        left_out = OF_THE_FORMAT.union(names)
        return {name: value for name, value in self.parameters.items() if name not in left_out}

    def _list_names(self, name: str) -> list[str]:
        value = self.member(name)
        in_body = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        return [*(each for each in in_body if isinstance(each, str)), *self._list_in_url(name)]

    def _list_in_url(self, name: str) -> list[str]:
        return [part for part in self.parameters.get(name, "").split(",") if part]

    def _read_count(self, name: str, default: int) -> int:
        if name not in self.parameters and name not in self.body:
            return default
        in_url = self.parameters.get(name)
        number = read_whole_number(self.member(name)) if in_url is None else read_whole_number_of_url(in_url)
        if number is None or number < 0:
            raise NotUnderstoodError(name)
        return number


def read_body(body: bytes) -> dict[str, msgspec.Raw]:
    """Read a body's members, none if it is empty.

    Raises:
        NotUnderstoodError: not plain JSON.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    try:
        body.decode()  # msgspec checks a text only when it is read, and would raise there
        members = _OBJECT.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotUnderstoodError("body") from error
    if any(body.count(f'"{name}"'.encode()) > 1 for name in members) and _has_one_name_twice(body):
        raise NotUnderstoodError("body")
    return members


def _has_one_name_twice(body: bytes) -> bool:
    """Return whether the object names a member twice, which OpenSearch refuses and decoding hides."""
    try:
        names = [member.key for member in json_members(body.decode())]
    except (JsonObjectError, UnicodeDecodeError):
        return True
    return len(set(names)) < len(names)


def read_parameters(target: str) -> dict[str, str]:
    """Read a raw target's parameters.

    Raises:
        NotUnderstoodError: separated by `;` too, or not UTF-8.
    """
    return _parse_query(target.partition("?")[2])


def _parse_query(query: str) -> dict[str, str]:
    """Read a query string; the last of several equal names wins, as in OpenSearch."""
    if ";" in query:  # OpenSearch splits there too
        raise NotUnderstoodError("parameters")
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise NotUnderstoodError("parameters") from error


def _take_source(parameters: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """Return the parameters without `source`, and the body in it."""
    if body.strip() or "json" not in parameters.get("source_content_type", ""):
        raise NotUnderstoodError("source")  # OpenSearch refuses both at once, and other formats are not read
    left_out = ("source", "source_content_type")
    rest = {name: value for name, value in parameters.items() if name not in left_out}
    return rest, parameters["source"].encode()
