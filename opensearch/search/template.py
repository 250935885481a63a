"""Search templates: rendered by OpenSearch, then a search like any other.

A rendered template is the body of the search. Seen on 3.8: OpenSearch ignores parameters of the URL that
would change the body, except `track_total_hits` if the template leaves it out. `explain` and `profile` are
those of the request, not the template's.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from opensearch.search.parameters import OF_THE_QUERY_STRING
from opensearch.search.request import NotUnderstoodError, SearchRequest, read_body

RENDER_TARGET = "/_render/template"

TEMPLATE_PARAMETERS = frozenset({
    "ccs_minimize_roundtrips", "error_trace", "filter_path", "human", "max_concurrent_searches", "pretty",
    "rest_total_hits_as_int", "routing", "search_type", "typed_keys",
})  # fmt: skip
"""Parameters of `_msearch/template`, which knows fewer than `_msearch`."""

_NOT_LOOKED_AT = frozenset({
    "_source", "_source_excludes", "_source_includes", "docvalue_fields", "explain", "from",
    "include_named_queries_score", "seq_no_primary_term", "size", "sort", "stats", "stored_fields",
    "terminate_after", "timeout", "track_scores", "version",
})  # fmt: skip
_FLAGS = ("explain", "profile")
_SCRIPT = frozenset({"id", "source", "inline", "template"})

_OBJECT = msgspec.json.Decoder(dict[str, Raw])


def render_body(template: SearchRequest) -> bytes:
    """Return the body of the request that renders a template.

    Raises:
        NotUnderstoodError: it is no template; OpenSearch answers that with an error of its own.
    """
    if not _SCRIPT & template.body.keys() or template.body.keys() - _SCRIPT - {"params", *_FLAGS}:
        raise NotUnderstoodError("template")
    return template.encode_body()


def build_rendered_search(template: SearchRequest, path: str, answer: bytes) -> SearchRequest:
    """Return the search that a template makes, `answer` being what OpenSearch rendered.

    Raises:
        NotUnderstoodError: it is no search in JSON, or the URL has a parameter that does not go with it.
    """
    try:
        output = _OBJECT.decode(answer)["template_output"]
        body = read_body(bytes(output))
    except (msgspec.DecodeError, KeyError, NotUnderstoodError) as error:
        raise NotUnderstoodError("template") from error
    given = template.parameters
    if "track_total_hits" in given and "track_total_hits" in body:
        raise NotUnderstoodError("track_total_hits")
    if "suggest_field" in given:
        raise NotUnderstoodError("suggest_field")
    # without `q`, its companions are an error in OpenSearch
    left_out = _NOT_LOOKED_AT | (OF_THE_QUERY_STRING if "q" in given else frozenset())
    kept = {name: value for name, value in given.items() if name not in left_out}
    return SearchRequest(path, kept, {**_remove_flags(body), **_read_flags(template)})


def _remove_flags(body: Mapping[str, Raw]) -> dict[str, Raw]:
    return {name: raw for name, raw in body.items() if name not in _FLAGS}


def _read_flags(template: SearchRequest) -> dict[str, Raw]:
    return {name: Raw(b"true") for name in _FLAGS if template.member(name) in (True, "true")}
