"""What is no search goes through the proxy byte for byte: each request is sent straight and through it."""

import gzip
import json
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import ToyIndex, index_body

pytestmark = pytest.mark.opensearch_2_19

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.indices.create(index=index_name, body={"settings": {"number_of_replicas": 0}})
    for number in range(3):
        client.index(index=index_name, id=f"a/{number} é", body={"n": number, "text": "wait a bit"})
    client.indices.refresh(index=index_name)
    return index_name


def both(opensearch_url: str, proxy_url: str, *request: object) -> tuple[RawAnswer, RawAnswer]:
    return ask(opensearch_url, *request), ask(proxy_url, *request)  # type: ignore[arg-type]


READS: list[tuple[str, str, bytes | None, dict[str, str]]] = [
    ("GET", "/", None, {}),
    ("HEAD", "/", None, {}),
    ("HEAD", "/{index}", None, {}),
    ("HEAD", "/{index}-absent", None, {}),
    ("GET", "/{index}/_doc/a%2F1%20%C3%A9", None, {}),
    ("GET", "/{index}/_doc/absent", None, {}),
    ("GET", "/{index}/_doc/a%2F1%20%C3%A9?_source_includes=n&_source_includes=text", None, {}),
    ("GET", "/{index}/_count?q=wait&pretty", None, {}),
    ("POST", "/{index}/_count", b'{"query":{"match_all":{}}}', JSON),
    ("GET", "/{index}/_mapping?pretty=true", None, GZIP),
    ("GET", "/%3Cabsent-%7Bnow%2Fd%7D%3E/_mapping", None, {}),
    ("GET", "/_cat/indices/{index}?h=index,docs.count", None, {}),
    ("GET", "/_cat/indices/{index}?format=yaml&h=index", None, {}),
    ("OPTIONS", "/{index}", None, {}),
    ("PATCH", "/{index}", b"{}", JSON),
    ("GET", "/_no_such_api", None, {}),
    ("GET", "//_cluster//health?filter_path=status", None, {}),
    (
        "POST",
        "/{index}/_mget",
        gzip.compress(b'{"ids":["a/1 \xc3\xa9"]}'),
        {**JSON, "Content-Encoding": "gzip"},
    ),
    ("POST", "/{index}/_mget", b"{", JSON),
    ("GET", "/_search/scroll?scroll_id=none", None, {}),
]


@pytest.mark.live
@pytest.mark.parametrize("request_", READS, ids=lambda request: f"{request[0]} {request[1]}")
def test_a_read_is_answered_the_same(
    opensearch_url: str, proxy_url: str, index: str, request_: tuple[str, str, bytes | None, dict[str, str]]
) -> None:
    method, target, body, headers = request_
    straight, through = both(
        opensearch_url, proxy_url, method, target.replace("{index}", index), body, headers
    )
    assert through == straight


BULK = b'{"index":{"_id":"a/1 \xc3\xa9"}}\n{"n":1,"text":"wait a bit"}\n' * 9
CODED: list[tuple[str, str, bytes, dict[str, str]]] = [
    ("POST", "/{index}/_bulk?filter_path=errors,items.*.status", BULK, NDJSON),
    ("POST", "/{index}/_bulk", b"nonsense", NDJSON),
    ("POST", "/{index}/_bulk", b'{"nope":{}}\n{}\n', NDJSON),
    ("POST", "/{index}/_mget", b'{"ids":["a/1 \xc3\xa9","a/2 \xc3\xa9","absent"]}', JSON),
    ("POST", "/{index}/_mget?pretty&_source=n", b'{"ids":["a/1 \xc3\xa9"]}', JSON),
    ("POST", "/{index}/_mget", b'{"ids":', JSON),
    ("POST", "/{index}/_msearch?filter_path=responses.hits", b'{}\n{"query":{"match_all":{}}}\n', NDJSON),
    ("POST", "/{index}/_msearch", b"{}\n{", NDJSON),
    ("POST", "/_search/scroll", b'{"scroll_id":"none"}', JSON),
    ("POST", "/{index}/_search", b'{"query":', JSON),
    ("POST", "/{index}/_search?filter_path=hits", b'{"query":{"match":{"text":"wait"}}}', JSON),
]  # fmt: skip


@pytest.mark.live
@pytest.mark.parametrize("is_packed", [False, True], ids=["plain body", "gzip body"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, deflate, br, zstd", "gzip;q=0", "identity"])
@pytest.mark.parametrize(
    "request_", CODED, ids=lambda request: f"{request[0]} {request[1]} {request[2][:20]!r}"
)
def test_an_answer_keeps_its_coding(
    opensearch_url: str,
    proxy_url: str,
    index: str,
    request_: tuple[str, str, bytes, dict[str, str]],
    coding: str,
    is_packed: bool,
) -> None:
    method, target, body, headers = request_
    sent = gzip.compress(body, mtime=0) if is_packed else body
    packed = {"Content-Encoding": "gzip"} if is_packed else {}
    asked = {**headers, **packed, "Accept-Encoding": coding}
    straight, through = both(opensearch_url, proxy_url, method, target.replace("{index}", index), sent, asked)
    for answer in (straight, through):  # what the proxy says of itself
        answer.headers.pop("rerank-status", None)
        answer.headers.pop("server-timing", None)
    assert through == straight


@pytest.mark.live
def test_our_fields_are_cut_out_of_packed_answers_too(
    proxy_url: str, client: OpenSearch, toy_index: ToyIndex, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    lines = (
        b'{"index":{"_id":"1"}}\n{"text":"wait a bit"}\n'
        b'{"update":{"_id":"1","_source":true}}\n{"doc":{"n":2}}\n'
    )
    written = ask(proxy_url, "POST", f"/{index_name}/_bulk?refresh=true", lines, {**NDJSON, **GZIP})
    assert json.loads(written.body)["items"][1]["update"]["get"]["_source"] == {"text": "wait a bit", "n": 2}
    assert "rerank" in client.get(index=index_name, id="1")["_source"]
    read = ask(proxy_url, "POST", f"/{index_name}/_mget", b'{"ids":["1"]}', {**JSON, **GZIP})
    assert json.loads(read.body)["docs"][0]["_source"] == {"text": "wait a bit", "n": 2}


@pytest.mark.live
def test_a_chunked_bulk_arrives_whole(client: OpenSearch, proxy_url: str, index_name: str) -> None:
    def blocks() -> Iterator[bytes]:
        for number in range(1000):
            yield b'{"index":{"_id":"%d"}}\n' % number
            yield b'{"n":%d}\n' % number

    answer = ask(proxy_url, "POST", f"/{index_name}/_bulk?refresh=true", blocks(), NDJSON)
    assert json.loads(answer.body)["errors"] is False
    assert client.count(index=index_name)["count"] == 1000


@pytest.mark.live
def test_a_document_keeps_its_spelling(opensearch_url: str, proxy_url: str, index_name: str) -> None:
    source = b'{ "price": 1.10, "big": 123456789012345678901234567890, "name": "caf\\u00e9", "z":1, "a":2 }'
    ask(proxy_url, "PUT", f"/{index_name}", b'{"mappings":{"dynamic":false}}', JSON)
    assert ask(proxy_url, "PUT", f"/{index_name}/_doc/1", source, JSON).status == 201
    assert source in ask(proxy_url, "GET", f"/{index_name}/_doc/1").body
    assert source in ask(opensearch_url, "GET", f"/{index_name}/_doc/1").body


@pytest.mark.live
def test_a_body_over_opensearchs_limit_gets_its_own_answer(
    opensearch_url: str, proxy_url: str, index_name: str
) -> None:
    """OpenSearch takes 100 MB: it answers 413 before everything is sent, and that answer comes through."""

    def blocks() -> Iterator[bytes]:
        for _ in range(110):
            yield b" " * 1_000_000

    answer = ask(proxy_url, "POST", f"/{index_name}/_bulk", blocks(), NDJSON)
    assert answer.status == 413


@pytest.mark.live
def test_an_absolute_target_goes_to_the_fixed_upstream(opensearch_url: str, proxy_url: str) -> None:
    through = ask(proxy_url, "GET", "http://example.invalid/_cluster/health?filter_path=status")
    assert through == ask(opensearch_url, "GET", "/_cluster/health?filter_path=status")


@pytest.mark.live
def test_a_long_request_line_is_answered_by_opensearch(opensearch_url: str, proxy_url: str) -> None:
    straight, through = both(opensearch_url, proxy_url, "GET", "/_cat/health?h=" + "x" * 6000)
    assert (through.status, through.body) == (straight.status, straight.body)
