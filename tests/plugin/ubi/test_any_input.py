"""Whatever clients and OpenSearch write: nothing is raised but a named error, and no answer loses a byte."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch.search.request import NotUnderstoodError, SearchRequest
from plugin.ubi.answered_page import rewrite_page
from plugin.ubi.object_ids import ObjectIds, request_ids
from plugin.ubi.parameters import InvalidError, read_parameters, take_ubi

NAMES = st.sampled_from(["_id", "_source", "a", "a.b", "b", "fields", "hits", "ext", "ubi", "query_id", ""])
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | NAMES
JSON = st.recursive(
    SCALARS | st.text(st.characters(exclude_categories=()), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)
KEYS = ("_source", "fields", "docvalue_fields", "stored_fields")
BODIES = st.fixed_dictionaries({}, optional={**dict.fromkeys(KEYS, JSON), "ext": JSON})
FILTERS = st.sampled_from(["", "?filter_path=hits.hits.a", "?filter_path=-hits.hits._id", "?filter_path=*"])
HITS = st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=3)


@given(BODIES, JSON, FILTERS, st.sampled_from([None, "a", "a.b", "", "*", "a."]))
@settings(max_examples=100, deadline=None)
def test_any_search_is_taken_apart_or_refused_by_name(
    body: dict[str, Any], ubi: object, parameters: str, field: str | None
) -> None:
    asked = json.dumps({**body, "ext": {"ubi": ubi}}).encode()
    try:
        search = SearchRequest.parse(f"/books/_search{parameters}", asked)
    except NotUnderstoodError:
        return
    raw, plain = take_ubi(search)
    assert raw is not None
    assert "ext" not in plain.body
    with suppress(InvalidError):
        read_parameters(raw)
    with suppress(ValueError, RecursionError):  # half a character, which OpenSearch's own parser judges
        ids, sent = request_ids(plain, field)
        kept = {name: value for name, value in sent.body.items() if name != "fields"}
        assert kept == {name: value for name, value in plain.body.items() if name != "fields"}
        assert ids.changes_request or sent == plain


@given(HITS, st.sampled_from([None, "a", "a.b"]), st.dictionaries(NAMES, JSON, max_size=2))
@settings(max_examples=100, deadline=None)
def test_any_page_is_written_as_it_was(
    hits: list[dict[str, Any]], field: str | None, top: dict[str, Any]
) -> None:
    body = json.dumps({**top, "hits": {"hits": hits}}, separators=(",", ":")).encode()
    found = rewrite_page(body, ObjectIds(field), None)
    if found is not None:
        assert found[0] == body
        assert len(found[1]) == len(hits)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_page_or_none(body: bytes) -> None:
    rewrite_page(body, ObjectIds("a", added="a"), "q")
