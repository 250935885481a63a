"""Build requests to OpenSearch: the whole window, or its vectors and then the page, or a rescored page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from opensearch.search.ext_keys import are_of_each_hit, need_one_request
from opensearch.search.parameters import NEEDS_ONE_REQUEST, OF_EACH_HIT
from opensearch.search.plan import MAX_DOCVALUE_FIELDS, Plan
from opensearch.search.request import SearchRequest

SEQ_NO = "_seq_no"

_ZERO = Raw(b"0")


@dataclass(frozen=True)
class SearchCall:
    """A request for OpenSearch: the raw target and a JSON body."""

    target: str
    body: bytes


@dataclass(frozen=True)
class HitName:
    """The name that only one hit has. It costs OpenSearch no stored field, as an `_id` would.

    A sequence number is unique in a shard. If those of two shards are equal, `value`, the vector field's doc
    value as it is written, differs unless their texts are equal too. If the vectors are the index's own, it
    is the `_id`.
    """

    index: str
    seq_no: int
    value: str


def request_window(plan: Plan) -> SearchCall:
    """Build the request for the window from its first hit, with hits as the client wants them and vectors."""
    request = plan.request
    body = {**request.body, "from": _ZERO, "size": _encode_number(plan.num_hits)}
    added = [_name_vector(plan)] if plan.needs_docvalue else []
    added += [each.as_json() for each in plan.added_doc_values]
    if added:
        body["docvalue_fields"] = _encode([*(request.member("docvalue_fields") or []), *added])
    parameters = request.parameters_without("from", "size")
    if plan.filter_path is not None:
        parameters["filter_path"] = plan.filter_path.parameter
    if request.is_pretty:
        parameters["pretty"] = "true"
    return SearchCall(request.target(parameters), msgspec.json.encode(body))


def request_rescored_page(plan: Plan, rescore: Mapping[str, Any]) -> SearchCall:
    """Build the request for the client's own page with this `rescore`: OpenSearch orders the hits then."""
    request = plan.request
    parameters = request.parameters_without()
    if plan.filter_path is not None:
        parameters["filter_path"] = plan.filter_path.parameter
    if request.is_pretty:
        parameters["pretty"] = "true"
    body = {**request.body, "rescore": _encode(rescore)}
    return SearchCall(request.target(parameters), msgspec.json.encode(body))


def can_split(plan: Plan) -> bool:
    """Return whether the window's vectors and the page's hits can be requested one after the other."""
    request = plan.request
    one_request = NEEDS_ONE_REQUEST | {"filter_path", "q"}
    says_so = (
        one_request.intersection(request.parameters)
        or one_request.intersection(request.body)
        or need_one_request(request.ext)
    )
    query = bytes(request.body.get("query", b""))
    has_room = len(request.docvalue_fields) <= MAX_DOCVALUE_FIELDS - len(naming_fields(plan))
    is_part = plan.page_end - plan.page_start < plan.num_hits
    if plan.reads_logged_features:  # of every hit of the window
        return False
    can_name = plan.settings.reads_existing or not plan.keep_vector
    return not says_so and b'"hybrid"' not in query and is_part and has_room and can_name


def naming_field(plan: Plan) -> str | None:
    """Return the field whose doc value names a hit beside its sequence number; None: its `_id` does."""
    return plan.settings.managed_field


def naming_fields(plan: Plan) -> tuple[str, ...]:
    """Return the fields whose doc values name a hit."""
    field = naming_field(plan)
    return (SEQ_NO,) if field is None else (field, SEQ_NO)


def asks_much_of_each_hit(plan: Plan) -> bool:
    """Return whether hits cost so much more than their sources that only the page's are worth it."""
    request = plan.request
    named = bool(OF_EACH_HIT.intersection(request.body)) or are_of_each_hit(request.ext)
    return named or _has_inner_hits(request)


_OF_THE_PAGE = frozenset({
    "_source", "docvalue_fields", "ext", "fields", "highlight", "script_fields", "seq_no_primary_term",
    "stored_fields", "version",
})  # fmt: skip
_SOURCE_PARAMETERS = frozenset({"_source", "_source_includes", "_source_excludes"})
_OF_THE_WINDOW = frozenset({
    "aggregations", "aggs", "from", "indices_boost", "min_score", "post_filter", "size", "sort", "stats",
    "suggest", "track_scores", "track_total_hits",
})  # fmt: skip
_WITH_INNER_HITS = frozenset({"has_child", "has_parent", "nested"})
_SUGGESTER = frozenset({"suggest_field", "suggest_mode", "suggest_size", "suggest_text"})


def request_window_vectors(plan: Plan) -> SearchCall:
    """Build the request for the window's order and vectors, and for everything besides the hits."""
    request = plan.request
    body = {name: raw for name, raw in request.body.items() if name not in _OF_THE_PAGE}
    if _has_inner_hits(request):
        body["query"] = _encode(_remove_inner_hits(request.query))
    vectors = plan.settings.vectors
    own = [_name_vector(plan)] if vectors == "doc_values" else []
    asked = [*naming_fields(plan), *own, *(each.as_json() for each in plan.doc_values)]
    body |= {
        "from": _ZERO,
        "size": _encode_number(plan.num_hits),
        "docvalue_fields": _encode(asked),
    }
    if vectors == "source":
        body["_source"] = _encode([plan.settings.field])
    elif vectors == "doc_values":  # named by `_id`, so a stored field is read anyway
        body["_source"] = Raw(b"false")
    elif plan.settings.verify_at_search:
        body["_source"] = _encode(plan.settings.source_fields)
    elif any(each.field is None for each in plan.boosts):
        body["_source"] = Raw(b"false")
    else:  # no stored field at all: OpenSearch would unpack a fat source for the sake of `_id` alone
        body["stored_fields"] = Raw(b'"_none_"')
    parameters = request.parameters_without("from", "size", *_SOURCE_PARAMETERS, *_OF_THE_PAGE)
    if request.is_pretty:
        parameters["pretty"] = "true"
    return SearchCall(request.target(parameters), msgspec.json.encode(body))


def request_page_hits(plan: Plan, names: Sequence[HitName], num_shards: int) -> SearchCall:
    """Build the request for the page's hits by name, as the client wants them, with the query to highlight.

    It asks for their names too, since another shard may have a hit of the same sequence number.
    """
    request = plan.request
    body = {name: raw for name, raw in request.body.items() if name not in _OF_THE_WINDOW}
    query = request.body.get("query", Raw(b'{"match_all":{}}'))
    clause = {"must": [query], "filter": [{"bool": {"should": _match_names(names)}}]}
    if "highlight" in body:  # not the names: an index may have the name of a word in the text
        body["highlight"] = _encode({"highlight_query": query, **request.member("highlight")})
    body |= {
        "query": _encode({"bool": clause}),
        "docvalue_fields": _encode([*(request.member("docvalue_fields") or []), *naming_fields(plan)]),
        "size": _encode_number(min(num_shards * len(names), max(plan.num_hits, len(names)))),
        "track_total_hits": Raw(b"false"),
    }
    left_out = _OF_THE_WINDOW | _SUGGESTER | {"request_cache", "search_type", "typed_keys"}
    parameters = request.parameters_without(*left_out)
    if request.is_pretty:
        parameters["pretty"] = "true"
    return SearchCall(request.target(parameters), msgspec.json.encode(body))


def _name_vector(plan: Plan) -> str | dict[str, str]:
    """Return the vector field as `docvalue_fields` asks for it."""
    field = plan.settings.field
    return field if plan.settings.vectors == "stored" else {"field": field, "format": "binary"}


def _match_names(names: Sequence[HitName]) -> list[dict[str, Any]]:
    numbers: dict[str, list[int]] = {}
    for name in names:
        numbers.setdefault(name.index, []).append(name.seq_no)
    return [
        {"bool": {"filter": [{"term": {"_index": index}}, {"terms": {SEQ_NO: values}}]}}
        for index, values in numbers.items()
    ]


def _has_inner_hits(request: SearchRequest) -> bool:
    return b'"inner_hits"' in bytes(request.body.get("query", b""))


def _remove_inner_hits(value: Any) -> Any:  # noqa: ANN401  # any JSON value
    """Return a query whose `nested`, `has_child` and `has_parent` ask for no inner hits."""
    if isinstance(value, list):
        return [_remove_inner_hits(each) for each in value]
    if not isinstance(value, dict):
        return value
    rest = {name: _remove_inner_hits(inner) for name, inner in value.items()}
    for name in _WITH_INNER_HITS & rest.keys():
        if isinstance(rest[name], dict):
            rest[name].pop("inner_hits", None)
    return rest


def _encode(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def _encode_number(value: int) -> Raw:
    return Raw(str(value).encode())
