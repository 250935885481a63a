"""What is fuzzed: each target takes any bytes, and raises where a promise is broken.

The promises: no exception but the documented ones, nothing lost, nothing changed that is not ours, and the
same order as plain code gives.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import msgspec

from opensearch.fields.redaction import redact_response
from opensearch.fields.vector_field import vector_field
from opensearch.query.query_string import read_query_string, read_simple_query_string
from opensearch.query.text import find_query_text
from opensearch.rawjson.filter_path import widen
from opensearch.rawjson.members import JsonObjectError, remove_path
from opensearch.rawjson.validation import InvalidError
from opensearch.search.decision import plan_search
from opensearch.search.msearch import MultiSearchResponse, read_items
from opensearch.search.plan import Plan
from opensearch.search.point_in_time import read_indices
from opensearch.search.request import NotUnderstoodError, SearchRequest
from opensearch.search.response import SearchResponse, UnusableResponseError
from opensearch.search.window_request import request_window, request_window_vectors
from opensearch.settings.layers import apply_defaults, check_server_defaults
from opensearch.settings.table import RerankSettings, SettingsError, encode_settings
from opensearch.settings.target import Target, resolve_target
from opensearch.settings.validation import parse_settings
from opensearch.writes.bulk_lines import read_bulk
from opensearch.writes.operation import Operation
from opensearch.writes.response import BulkResponse
from opensearch.writes.update import UpdateBody
from plugin.admin.filter_path import apply_filter_path
from plugin.upstream.search_client import read_server_timing
from reranker.errors import BundleError, StoredVectorError
from reranker.manifest import FusionDefault
from reranker.manifest import parse as parse_manifest
from reranker.stored_vector import unpack
from tests.fuzz.mutations import json_value, spelled
from tests.fuzz.reference import has_names_twice, read_json, without_member, without_vector

FIELD = "rerank.vector"
DEFAULTS = FusionDefault("log_linear", 10.0)
OURS = Target(RerankSettings("tiny", source_fields=("text",)), {"books": (FIELD,)})


@dataclass(frozen=True)
class Reader:
    """One thing that reads bytes: `check` raises AssertionError, or anything that is not `allowed`."""

    check: Callable[[bytes], None]
    allowed: tuple[type[Exception], ...] = ()

    def __call__(self, data: bytes) -> None:
        """Check one input."""
        with suppress(*self.allowed):
            self.check(data)


def search(data: bytes) -> None:
    """A search's parameters, up to the first line's end, and its body: read, planned, and widened."""
    parameters, _, body = data.partition(b"\n")
    request = SearchRequest.parse(f"/books/_search?{parameters.decode('latin-1')}", body)
    plan = plan_search(request, OURS, defaults=DEFAULTS).plan
    if isinstance(plan, Plan):
        assert plan.query_text
        assert 0 <= plan.page_start <= plan.page_end
        for asked in (request_window(plan), request_window_vectors(plan)):
            assert isinstance(msgspec.json.decode(asked.body), dict)
            asked.target.encode("latin-1")


def multi_search(data: bytes) -> None:
    """An `_msearch`: its items come out as the bytes that went in."""
    items = read_items("/_msearch", "books", data)
    assert b"".join(item.lines() for item in items) in (data, data.removesuffix(b"\n"))
    for item in items:
        if isinstance(item.search, SearchRequest):
            plan_search(item.search, OURS, defaults=DEFAULTS)


def bulk(data: bytes) -> None:
    """A `_bulk`: every byte comes out again, in whatever blocks it came, and the same operations."""
    cut = len(data) // 3
    found = []
    for blocks in ([data], [data[:cut], data[cut:]]):
        parts = list(read_bulk([block for block in blocks if block], {"_index": "books"}))
        assert b"".join(_bytes_of(part) for part in parts) == data
        found.append([part for part in parts if isinstance(part, Operation)])
    assert found[0] == found[1]
    for operation in found[0]:
        if operation.action == "update" and operation.source is not None:
            update(operation.source)


def update(data: bytes) -> None:
    """The body of a partial update."""
    try:
        body = UpdateBody.parse(data)
    except JsonObjectError:
        return
    if body.value("doc") is not None:
        assert UpdateBody.parse(body.with_part("doc", '{"a":1}').text.encode()).value("doc") == {"a": 1}


def members(data: bytes) -> None:
    """An object's member by its place: cutting it and reading is reading and cutting it."""
    text = data.decode("utf-8", "surrogatepass")
    rest, member = remove_path(text, ("rerank", "vector"))
    if has_names_twice(data):
        return
    expected, was_there = without_member(read_json(text), ("rerank", "vector"))
    assert read_json(rest) == expected
    assert (member is not None) == was_there
    if member is None:
        assert rest == text


def field_cutter(data: bytes) -> None:
    """Any answer: what is no JSON comes back as it is, and what has no documents too."""
    cut = redact_response(data, lambda index: (FIELD,))
    if b'"_source"' not in data and b'"fields"' not in data:
        assert cut == data
    try:
        whole = read_json(data)
        readable = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return
    assert (whole is None) == (readable is None)
    read_json(cut)


def hits(data: bytes) -> None:
    """Answers with documents that the input chooses: the vector is cut out, and nothing else is changed."""
    random = Random(data)
    sources = [json_value(random) for _ in range(random.randint(1, 3))]
    documents = [
        {
            "_index": "books",
            "_id": str(number),
            "_score": 1.5,
            "_source": source if isinstance(source, dict) else {},
        }
        for number, source in enumerate(sources)
    ]
    answer = spelled({"took": 1, "hits": {"hits": documents}}, random)
    if b'"rerank"' in answer and has_names_twice(answer):
        return
    cut = redact_response(answer, lambda index: (FIELD,))
    expected = [{**each, "_source": without_vector(each["_source"])} for each in documents]
    assert json.loads(cut) == {"took": 1, "hits": {"hits": expected}}
    if expected == documents:
        assert cut == answer


def response(data: bytes) -> None:
    """OpenSearch's answer to a widened search."""
    answer = SearchResponse.parse(data)
    field = vector_field(FIELD)
    scores = answer.scores()
    assert len(scores) == len(answer.hits)
    for hit in answer.hits:
        field.read(hit)
        field.remove(hit)
    written = answer.with_hits(answer.hits)
    with suppress(UnicodeDecodeError):  # what is not UTF-8 goes on as it came
        read_json(written.decode())


def answers(data: bytes) -> None:
    """OpenSearch's other answers: to several searches, to a bulk, about indices."""
    for number in (1, 2):
        with suppress(UnusableResponseError):
            MultiSearchResponse.parse(data, number)
    with suppress(ValueError):
        BulkResponse.parse(data).encode(is_pretty=True)
    assert isinstance(resolve_target(data), Target)


def settings(data: bytes) -> None:
    """Settings in a mapping and of a server: what is taken is written back as what it was."""
    value = msgspec.json.decode(data)
    parsed = parse_settings(apply_defaults(check_server_defaults({"window_size": 50}, "server"), value))
    assert parse_settings(encode_settings(parsed)) == parsed
    check_server_defaults(value, "server")


def vector(data: bytes) -> None:
    """A stored vector, alone."""
    stored = unpack(data)
    assert (abs(stored.values) <= 65600).all()


def filter_path(data: bytes) -> None:
    """`filter_path`, ours and that of our own endpoints, over an answer that the input chooses."""
    text = data.decode("utf-8", "replace")
    widen(text, (("timed_out",), ("hits", "hits", "_score"), ("hits", "hits", "fields", FIELD)))
    value = json_value(Random(data), 5)
    assert isinstance(json.dumps(apply_filter_path({"a": {"b": [value, {"c": 1}]}}, text)), str)


def query_strings(data: bytes) -> None:
    """Both query string languages."""
    text = data.decode("utf-8", "replace")
    for found in (
        read_query_string(text),
        read_simple_query_string(text),
        find_query_text({"query_string": {"query": text}}),
    ):
        assert found is None or isinstance(found, str)


def headers(data: bytes) -> None:
    """The header that a tool reads its times from, and the id of a point in time."""
    text = data.decode("latin-1")
    assert isinstance(read_server_timing(text), dict)
    for pit in (text, {"id": text}, {"id": data.decode("utf-8", "replace")}):
        read_indices(pit)


def manifest(data: bytes) -> None:
    """A bundle's manifest."""
    parse_manifest(data, "manifest.json")


def _bytes_of(part: Operation | bytes) -> bytes:
    return part if isinstance(part, bytes) else part.line + (part.source or b"")


_SEARCH = (NotUnderstoodError, InvalidError)
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the target itself raises before it comes to what it looks at."""

TARGETS = {
    "search": Reader(search, _SEARCH),
    "multi_search": Reader(multi_search, _SEARCH),
    "bulk": Reader(bulk),
    "update": Reader(update),
    "members": Reader(members, (JsonObjectError, UnicodeDecodeError)),
    "field_cutter": Reader(field_cutter),
    "hits": Reader(hits),
    "response": Reader(response, (UnusableResponseError,)),
    "answers": Reader(answers),
    "settings": Reader(settings, (SettingsError, *_NO_JSON)),
    "vector": Reader(vector, (StoredVectorError,)),
    "filter_path": Reader(filter_path),
    "query_strings": Reader(query_strings),
    "headers": Reader(headers),
    "manifest": Reader(manifest, (BundleError,)),
}
"""Every target by its name; `window` in `order.py` is one more."""
