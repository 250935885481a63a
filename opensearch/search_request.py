"""A client's search as OpenSearch will read it: the URL's parameters win over the body."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec

_BODY = msgspec.json.Decoder(dict[str, msgspec.Raw])
DEFAULT_SIZE = 10

FORMATTING = frozenset({"pretty"})
"""Parameters that only format the answer: left out of the widened request, done here on the way out."""

UNDERSTOOD_PARAMETERS = FORMATTING | {
    "_source", "_source_excludes", "_source_includes", "allow_no_indices", "allow_partial_search_results",
    "batched_reduce_size", "cancel_after_time_interval", "ccs_minimize_roundtrips", "error_trace",
    "expand_wildcards", "from", "human", "ignore_throttled", "ignore_unavailable",
    "max_concurrent_shard_requests", "phase_took", "pre_filter_shard_size", "preference", "request_cache",
    "rest_total_hits_as_int", "routing", "search_type", "seq_no_primary_term", "size", "timeout",
    "track_scores", "track_total_hits", "typed_keys", "version",
}  # fmt: skip

UNDERSTOOD_KEYS = frozenset({
    "_source", "aggregations", "aggs", "docvalue_fields", "fields", "from", "highlight", "indices_boost",
    "min_score", "post_filter", "profile", "query", "script_fields", "seq_no_primary_term", "size", "sort",
    "stats", "suggest", "timeout", "track_scores", "track_total_hits", "version",
})  # fmt: skip

_BY_SCORE: tuple[Any, ...] = ("_score", {"_score": "desc"}, {"_score": {"order": "desc"}}, {"_score": {}})


class NotUnderstoodError(Exception):
    """This version cannot read the request, which OpenSearch may well do; `reason` names why, in a word."""

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
        """Read the raw request target and the body.

        Raises:
            NotUnderstoodError: the body is not plain JSON (OpenSearch also takes comments, YAML, CBOR, ...),
                or the parameters are split or encoded in a rare way.
        """
        path, _, query = target.partition("?")
        try:
            members = _BODY.decode(body) if body.strip() else {}
        except (msgspec.DecodeError, RecursionError) as error:
            raise NotUnderstoodError("body") from error
        return cls(path, _parameters(query), members)

    @property
    def from_(self) -> int:
        """First hit of the page, counted from 0.

        Raises:
            NotUnderstoodError: not a whole number of at least 0.
        """
        return self._count("from", 0)

    @property
    def size(self) -> int:
        """Hits of the page.

        Raises:
            NotUnderstoodError: not a whole number of at least 0.
        """
        return self._count("size", DEFAULT_SIZE)

    @property
    def query(self) -> Any:  # noqa: ANN401  # any JSON
        """The decoded query, None where there is none."""
        return self.member("query")

    @property
    def sorts_by_score(self) -> bool:
        """Whether hits come by descending `_score` alone, said or by default."""
        sort = self.member("sort")
        return sort is None or any(sort in (form, [form]) for form in _BY_SCORE)

    @property
    def is_pretty(self) -> bool:
        """Whether the answer is to be indented."""
        return self.parameters.get("pretty", "false") != "false"

    @property
    def filters_source(self) -> bool:
        """Whether the client limits what it wants of `_source`."""
        in_url = any(name in self.parameters for name in ("_source", "_source_includes", "_source_excludes"))
        return in_url or self.member("_source") not in (None, True)

    def member(self, name: str) -> Any:  # noqa: ANN401  # any JSON
        """Decode one member of the body, None where it is absent."""
        raw = self.body.get(name)
        return None if raw is None else msgspec.json.decode(raw)

    def not_understood(self) -> str | None:
        """Return the first parameter or body key that this version does not widen safely, None if none."""
        names = [*self.parameters.keys() - UNDERSTOOD_PARAMETERS, *self.body.keys() - UNDERSTOOD_KEYS]
        return min(names, default=None)

    def target(self, parameters: Mapping[str, str]) -> str:
        """Return the raw target for this path with other parameters."""
        query = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters.items()
        )
        return f"{self.path}?{query}" if query else self.path

    def _count(self, name: str, default: int) -> int:
        if name in self.parameters:
            text = self.parameters[name]
            if not (text.isascii() and text.isdigit()):
                raise NotUnderstoodError(name)
            return int(text)
        if name not in self.body:
            return default
        value = self.member(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise NotUnderstoodError(name)
        return value


def _parameters(query: str) -> dict[str, str]:
    """Read a query string; the last of several equal names wins, as in OpenSearch."""
    if ";" in query:  # OpenSearch splits there too
        raise NotUnderstoodError("parameters")
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise NotUnderstoodError("parameters") from error
