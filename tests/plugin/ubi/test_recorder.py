"""Searches with `ext.ubi` through the proxy: what OpenSearch and the client get, and what is recorded."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.search.explain import run_search, search_handler
from plugin.settings.cache import SettingsCache
from plugin.ubi.presence import PluginPresence
from plugin.ubi.record import RecordingOptions
from plugin.ubi.record_queue import RecordQueue
from plugin.ubi.record_target import IndexTarget
from plugin.ubi.recorder import UbiRecorder
from plugin.ubi.writer import RecordWriter
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.http.routed_upstream import RoutedUpstream, SentRequest, routed
from tests.support.paths import TINY_BUNDLE
from tests.support.ubi_bodies import UNKNOWN_EXTENSION

QUERY: dict[str, Any] = {"match": {"text": "wait"}}
SETTINGS = {"model": Bundle.open(TINY_BUNDLE).name, "source_fields": ["text"], "deadline_ms": 10_000}
HITS = [{"_index": "books", "_id": name, "_score": 3.0 - n} for n, name in enumerate("abc")]


def page(request: SentRequest, **members: Any) -> dict[str, Any]:  # noqa: ANN401  # any JSON
    body = json.loads(request.body or b"{}")
    start = body.get("from", 0)
    shown = HITS[start : start + body.get("size", 10)]
    shards = {"total": 1, "failed": 0}
    return {"took": 1, "timed_out": False, "_shards": shards, "hits": {"hits": shown}, **members}


def answer_search(request: SentRequest) -> tuple[int, object]:
    return (400, UNKNOWN_EXTENSION) if b'"ubi"' in request.body else (200, page(request))


@dataclass
class Bench:
    upstream: RoutedUpstream
    client: Client
    queue: RecordQueue
    presence: PluginPresence

    def search(self, body: object, path: str = "/books/_search", **headers: str) -> TestResponse:
        return self.client.post(path, json=body, headers=headers, buffered=True)

    def records(self) -> list[dict[str, Any]]:
        return [msgspec.to_builtins(each.record) for each in self.queue.take(99)]


@contextmanager
def bench(options: RecordingOptions | None = None, *, enabled: bool = True) -> Iterator[Bench]:
    meta = {"_meta": {"rerank": SETTINGS}} if enabled else {}
    index = {"books": {"mappings": meta, "settings": {"index": {"creation_date": "1"}}}}
    routes = {"/books": lambda _: (200, index), "/books/_search": answer_search}
    with routed(routes) as upstream, closing(Upstream(upstream.url)) as to_upstream:
        queue, presence = RecordQueue(), PluginPresence(to_upstream)
        writer = RecordWriter(IndexTarget(to_upstream), queue, presence)
        writer.start = lambda: None  # type: ignore[method-assign]  # the test looks into the queue itself
        recorder = UbiRecorder(queue, writer, presence, options or RecordingOptions())
        proxy = Proxy(to_upstream, Model.load(Bundle.open(TINY_BUNDLE)), recorder=recorder)
        yield Bench(upstream, Client(proxy), queue, presence)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_search_is_answered_with_its_query_id_and_recorded_once(enabled: bool) -> None:
    with bench(enabled=enabled) as found:
        body = {"query": QUERY, "size": 2, "ext": {"ubi": {"query_id": "q", "client_id": "c"}}}
        answer = found.search(body)
        (record,) = found.records()
    assert answer.json is not None
    shown = [hit["_id"] for hit in answer.json["hits"]["hits"]]
    assert answer.json["ext"] == {"ubi": {"query_id": "q"}}
    assert (record["query_id"], record["client_id"]) == ("q", "c")
    assert record["query_response_hit_ids"] == shown
    assert len(shown) == 2
    assert json.loads(record["query"]) == body
    reason = "vectors" if enabled else "not_enabled"
    assert answer.headers["Rerank-Status"] == f"skipped; reason={reason}"
    assert record["query_attributes"]["twinrank.outcome"] == reason


def test_an_id_is_made_where_none_is_given() -> None:
    with bench() as found:
        answers = [found.search({"query": QUERY, "ext": {"ubi": {}}}).json for _ in range(2)]
        made = [answer["ext"]["ubi"]["query_id"] for answer in answers if answer]
        assert [each["query_id"] for each in found.records()] == made
    assert len(set(made)) == 2


def test_each_page_has_the_ids_of_that_page() -> None:
    with bench() as found:
        for start in (0, 1, 2):
            found.search({"query": QUERY, "from": start, "size": 1, "ext": {"ubi": {"query_id": "q"}}})
        records = found.records()
    assert [each["query_response_hit_ids"] for each in records] == [["a"], ["b"], ["c"]]
    assert [each["query_attributes"]["twinrank.from"] for each in records] == ["0", "1", "2"]
    assert len({each["query_response_id"] for each in records}) == 3


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_no_ubi_is_refused_and_nothing_recorded(enabled: bool) -> None:
    with bench(enabled=enabled) as found:
        answer = found.search({"query": QUERY, "ext": {"ubi": {"query_id": 7}}})
        assert found.records() == []
    assert answer.status_code == 400
    assert answer.json is not None
    assert answer.json["error"]["reason"].startswith("ext.ubi.query_id: expected a text or null, found 7.")
    assert answer.headers["Rerank-Status"] == "refused; reason=ext"


def test_an_error_is_not_recorded() -> None:
    with bench() as found:
        found.upstream.routes["/books/_search"] = lambda _: (400, {"error": {"type": "x"}, "status": 400})
        answer = found.search({"query": QUERY, "ext": {"ubi": {}}})
        assert (answer.status_code, found.records()) == (400, [])


def test_with_the_plugin_own_bytes_are_the_plugins_and_reranked_pages_are_ours() -> None:
    body = b'{"query":{"match":{"text":"wait"}},"sort":["n"],"ext":{"ubi":{"query_id":"q"}}}'
    with bench() as found:
        found.presence.is_present = True
        found.upstream.routes["/books/_search"] = lambda request: (200, page(request))
        json_type = {"content_type": "application/json"}
        found.client.post("/books/_search", data=body, buffered=True, **json_type)
        assert found.records() == []
        assert found.upstream.sent_to("/books/_search")[-1].body == body
        found.search({"query": QUERY, "ext": {"ubi": {}}})
        assert len(found.records()) == 1
        assert b"ubi" not in found.upstream.sent_to("/books/_search")[-1].body


def test_with_the_plugin_controls_are_taken_out_and_ubi_stays() -> None:
    with bench() as found:
        found.presence.is_present = True
        found.upstream.routes["/books/_search"] = lambda request: (200, page(request))
        ext = {"ubi": {"query_id": "q"}, "rerank": {"enabled": False}}
        found.search({"query": QUERY, "ext": ext})
        assert json.loads(found.upstream.sent_to("/books/_search")[-1].body)["ext"] == {
            "ubi": {"query_id": "q"}
        }
        assert found.records() == []


def test_a_plugin_that_has_gone_is_noticed_by_the_refusal() -> None:
    with bench() as found:
        found.presence.is_present = True
        answer = found.search({"query": QUERY, "sort": ["n"], "ext": {"ubi": {"query_id": "q"}}})
        assert (answer.status_code, found.presence.is_present) == (200, False)
        assert [each["query_id"] for each in found.records()] == ["q"]


def test_switched_off_the_key_is_left_to_opensearch() -> None:
    with bench(RecordingOptions(is_on=False)) as found:
        answer = found.search({"query": QUERY, "ext": {"ubi": {}}})
        assert (answer.status_code, found.records()) == (400, [])
    assert answer.headers["Rerank-Status"] == "skipped; reason=ubi"


def test_what_opensearch_refuses_beside_the_clients_wishes_is_taken_back() -> None:
    def answer(request: SentRequest) -> tuple[int, object]:
        refused = b'"fields"' in request.body
        return (400, {"error": {"reason": "_source is disabled"}}) if refused else (200, page(request))

    with bench() as found:
        found.upstream.routes["/books/_search"] = answer
        ubi = {"object_id_field": "sku"}
        shown = found.search({"query": QUERY, "_source": False, "ext": {"ubi": ubi}})
        (record,) = found.records()
    assert shown.status_code == 200
    assert record["query_response_hit_ids"] == ["a", "b", "c"]


def test_a_full_queue_changes_no_answer() -> None:
    with bench() as found:
        found.queue._max_records = 0
        answer = found.search({"query": QUERY, "ext": {"ubi": {"query_id": "q"}}})
        assert answer.json is not None
        assert answer.json["ext"] == {"ubi": {"query_id": "q"}}


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({}, ()),
        ({"X-Forwarded-For": "10.0.0.1"}, ()),
        ({"Authorization": "Basic a"}, (("Authorization", "Basic a"),)),
    ],
    ids=str,
)
def test_a_record_is_written_in_its_callers_name(headers: dict[str, str], kept: object) -> None:
    with bench() as found:
        found.search({"query": QUERY, "ext": {"ubi": {}}}, **headers)
        (queued,) = found.queue.take(1)
    assert queued.identity == kept


def test_items_of_several_are_recorded_and_answered_without_an_id() -> None:
    def answer(request: SentRequest) -> tuple[int, object]:
        assert b"ubi" not in request.body
        searches = request.body.splitlines()[1::2]
        sent = [SentRequest("POST", "", "", {}, each) for each in searches]
        return 200, {"took": 1, "responses": [{**page(each), "status": 200} for each in sent]}

    bodies = [
        {"query": QUERY, "size": 1, "ext": {"ubi": {"query_id": "first"}}},
        {"query": QUERY, "sort": ["n"], "size": 2, "ext": {"ubi": {"query_id": "second"}}},
        {"query": QUERY},
    ]
    lines = b"".join(b'{"index":"books"}\n' + json.dumps(body).encode() + b"\n" for body in bodies)
    with bench() as found:
        found.upstream.routes["/_msearch"] = answer
        shown = found.client.post("/_msearch", data=lines, content_type="application/x-ndjson", buffered=True)
        records = found.records()
    assert shown.json is not None
    pages = [[hit["_id"] for hit in each["hits"]["hits"]] for each in shown.json["responses"]]
    assert not [each for each in shown.json["responses"] if "ext" in each]
    assert [each["query_response_hit_ids"] for each in records] == pages[:2]
    assert [each["query_id"] for each in records] == ["first", "second"]
    assert [each["query_attributes"]["twinrank.outcome"] for each in records] == ["vectors", "sort"]


def test_items_whose_answer_is_filtered_lose_the_key_and_are_not_recorded() -> None:
    bodies = [{"query": QUERY, "ext": {"ubi": {}}}, {"query": QUERY}]
    lines = b"".join(b'{"index":"books"}\n' + json.dumps(body).encode() + b"\n" for body in bodies)
    with bench() as found:
        found.upstream.routes["/_msearch"] = lambda _: (200, {"responses": [{"took": 1}]})
        shown = found.client.post(
            "/_msearch?filter_path=responses.took",
            data=lines,
            content_type="application/x-ndjson",
            buffered=True,
        )
        assert found.records() == []
        (sent,) = found.upstream.sent_to("/_msearch")
    assert (shown.status_code, shown.json) == (200, {"responses": [{"took": 1}]})
    assert b"ubi" not in sent.body
    assert len(sent.body.splitlines()) == 4


def test_what_is_explained_is_not_recorded() -> None:
    with bench() as found, closing(Upstream(found.upstream.url)) as upstream:
        handler = search_handler(upstream, SettingsCache(upstream), Model.load(Bundle.open(TINY_BUNDLE)))
        search = {"query": QUERY, "size": 2, "ext": {"ubi": {"query_id": "q"}, "rerank": {"window_size": 5}}}
        answer, outcome = run_search(handler, (), "books", search)
        assert (outcome.reason, "ext" in answer) == ("vectors", False)
        assert found.records() == []
