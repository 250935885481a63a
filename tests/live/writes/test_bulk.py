"""Bulk writes to a real OpenSearch: bytes kept, failures told apart, and what is put off sent again."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch

from opensearch.client import OpenSearchClient
from opensearch.errors import BusyError, IndexMissingError, UnreachableError, read_reason
from opensearch.retry import RetryPolicy
from opensearch.writes.bulk import Bulk, BulkItem, build_body
from tests.support.http.raw_http import ask
from tests.support.http.relay import Relay

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
QUICK = RetryPolicy(first_s=0.05, longest_s=0.2, total_s=0.5)
STEADY = RetryPolicy(first_s=0.05, longest_s=0.3, total_s=60)


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.indices.create(index=index_name, body={"settings": {"number_of_replicas": 0}})
    return index_name


@pytest.fixture
def relay(opensearch_url: str) -> Iterator[Relay]:
    made = Relay(opensearch_url)
    yield made
    made.cut()


def bulk(url: str, index: str, retry_policy: RetryPolicy = QUICK) -> tuple[Bulk, list[str]]:
    waits: list[str] = []
    return Bulk(OpenSearchClient(url), index, retry_policy, waits.append), waits


def items(number: int) -> list[BulkItem]:
    return [BulkItem(str(i), b'{"t": "%d"}' % i) for i in range(number)]


def test_documents_arrive_byte_for_byte(client: OpenSearch, opensearch_url: str, index: str) -> None:
    source = '{"n": 1.10,  "big": 1e400, "e": "\\u00e9 😀 \\ud800", "b":{"k" : []}}'
    client.indices.put_mapping(index=index, body={"dynamic": False})
    [result] = bulk(opensearch_url, index)[0].write([BulkItem('odd "id" é', source.encode())])
    assert result.reason is None
    stored = ask(opensearch_url, "GET", f"/{index}/_doc/odd%20%22id%22%20%C3%A9").body
    assert source.encode() in stored


def test_each_document_has_its_own_result(opensearch_url: str, index: str) -> None:
    sources = [b'{"t": "x"}', b'{"t": ', b'{"t": 1, "t": 2}', b"[]", b'{"t": "y"}']
    results = bulk(opensearch_url, index)[0].write([BulkItem(str(i), raw) for i, raw in enumerate(sources)])
    assert [result.status for result in results] == [201, 400, 400, 400, 201]
    assert "Duplicate Object property" in str(results[2].reason)


def test_no_items_are_no_request(index: str) -> None:
    assert bulk("http://127.0.0.1:9", index)[0].write([]) == []


def test_items_put_off_are_sent_again(client: OpenSearch, opensearch_url: str, index: str) -> None:
    client.indices.put_settings(index=index, body={"index.blocks.read_only_allow_delete": True})
    mend = {"index.blocks.read_only_allow_delete": None}
    timer = threading.Timer(1.0, lambda: client.indices.put_settings(index=index, body=mend))
    timer.start()
    writer, waits = bulk(opensearch_url, index, STEADY)
    results = writer.write(items(5))
    timer.join()
    assert [result.status for result in results] == [201] * 5
    assert waits
    assert "429" in waits[0]
    assert "flood-stage" in waits[0]


def test_items_put_off_for_too_long_end_the_run(client: OpenSearch, opensearch_url: str, index: str) -> None:
    client.indices.put_settings(index=index, body={"index.blocks.read_only_allow_delete": True})
    with pytest.raises(BusyError, match=r"gave up after .* without success: 429 .*read-only-allow-delete"):
        bulk(opensearch_url, index)[0].write(items(2))


def test_a_request_put_off_is_halved_until_there_is_room(
    client: OpenSearch, opensearch_url: str, index: str
) -> None:
    limit = "network.breaker.inflight_requests.limit"
    client.cluster.put_settings(body={"transient": {limit: "8kb"}})
    try:
        writer, waits = bulk(opensearch_url, index, STEADY)
        results = writer.write([BulkItem(str(i), b'{"t": "%s"}' % (b"x" * 500)) for i in range(40)])
    finally:
        client.cluster.put_settings(body={"transient": {limit: None}})
    assert [result.status for result in results] == [201] * 40
    assert any("Data too large" in reason for reason in waits)


def test_a_document_that_never_fits_is_rejected_and_the_rest_goes_on(
    client: OpenSearch, opensearch_url: str, index: str
) -> None:
    limit = "network.breaker.inflight_requests.limit"
    client.cluster.put_settings(body={"transient": {limit: "1mb"}})
    try:
        huge = BulkItem("huge", b'{"t": "%s"}' % (b"x" * 9_000_000))
        results = bulk(opensearch_url, index, STEADY)[0].write([*items(2), huge, BulkItem("last", b"{}")])
    finally:
        client.cluster.put_settings(body={"transient": {limit: None}})
    assert [result.status for result in results] == [201, 201, 429, 201]
    assert "Data too large" in str(results[2].reason)


def test_a_lost_connection_is_tried_again_and_nothing_doubled(
    client: OpenSearch, index: str, relay: Relay
) -> None:
    writer, waits = bulk(relay.url, index, STEADY)
    writer.write(items(3))
    relay.cut()
    timer = threading.Timer(1.0, relay.mend)
    timer.start()
    results = writer.write(items(10))
    timer.join()
    assert {result.reason for result in results} == {None}
    assert waits
    client.indices.refresh(index=index)
    assert client.count(index=index)["count"] == 10


def test_nobody_there_ends_the_run_within_the_patience(index: str, relay: Relay) -> None:
    relay.cut()
    with pytest.raises(UnreachableError, match=r"gave up after .* cannot be reached"):
        bulk(relay.url, index)[0].write(items(1))


def test_waits_grow_with_jitter_up_to_a_bound() -> None:
    policy = RetryPolicy(first_s=1, longest_s=10)
    waits = [[policy.wait_s(failures) for _ in range(50)] for failures in (1, 2, 3, 4, 5, 10_000)]
    for bound, drawn in zip((1, 2, 4, 8, 10, 10), waits, strict=True):
        assert all(bound / 2 <= wait <= bound for wait in drawn)
        assert len(set(drawn)) > 1


class _SmallDoor(http.server.BaseHTTPRequestHandler):
    """A server in front that takes 300 bytes at once, as one with a body limit does."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        small = len(body) <= 300
        done = [{"index": {"status": 201}} for line in body.splitlines()[::2] if line]
        answer = json.dumps({"items": done} if small else {"error": "too large"}).encode()
        self.send_response(200 if small else 413)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_too_large_a_request_is_split_and_too_large_a_document_rejected() -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _SmallDoor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sent = [*items(20), BulkItem("big", b'{"t": "%s"}' % (b"x" * 400)), *items(3)]
        results = bulk(f"http://127.0.0.1:{server.server_port}", "i")[0].write(sent)
        server.shutdown()
    assert [i for i, result in enumerate(results) if result.reason] == [20]
    assert results[20].status == 413


def test_a_missing_index_says_how_to_make_it(opensearch_url: str) -> None:
    with pytest.raises(IndexMissingError, match="twinrank enable"):
        OpenSearchClient(opensearch_url).request("GET", "/no-such-index/_count")


def test_the_body_is_newline_delimited() -> None:
    assert build_body([BulkItem("1", b"{}"), BulkItem('"', b'{"a":1}')]) == (
        b'{"index": {"_id": "1"}}\n{}\n{"index": {"_id": "\\""}}\n{"a":1}\n'
    )


def test_reasons_are_one_bounded_line() -> None:
    error = {"type": "t", "reason": "a\n b", "caused_by": {"reason": "a b", "caused_by": {"reason": "c"}}}
    assert read_reason(error) == "t: a b; c"
    assert read_reason("plain\ntext") == "plain text"
    assert read_reason(None) == "None"
    assert len(read_reason({"type": "t", "reason": "x" * 10_000})) < 1100
