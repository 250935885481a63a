"""Writing records: what is sent, in whose name, and what is lost and said if it cannot be written."""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from plugin.http.headers import Headers
from plugin.ubi.presence import PluginPresence
from plugin.ubi.record import UbiRecord
from plugin.ubi.record_queue import RecordQueue
from plugin.ubi.record_target import CHECKED_S, IndexTarget
from plugin.ubi.writer import KEPT_FOR_A_CALLER_S, RecordWriter
from plugin.upstream.client import Upstream
from tests.support.http.routed_upstream import Route, RoutedUpstream, SentRequest, routed

MAPPING, BULK = "/ubi_queries/_mapping", "/_bulk"
SERVICE: Headers = (("Authorization", "Basic service"),)
ALICE: Headers = (("Authorization", "Basic alice"),)
BOB: Headers = (("Authorization", "Basic bob"),)


def mapped(user_query: dict[str, Any]) -> Route:
    return lambda _: (200, {"ubi_queries": {"mappings": {"properties": {"user_query": user_query}}}})


def take_all(request: SentRequest) -> tuple[int, object]:
    return 200, {"items": [{"create": {"status": 201}} for _ in documents(request)]}


def documents(request: SentRequest) -> list[dict[str, Any]]:
    return [json.loads(line) for line in request.body.splitlines()[1::2]]


def record(name: str, **changed: Any) -> UbiRecord:  # noqa: ANN401
    return UbiRecord("t", name, f"response-{name}", [], "", {}, **changed)


@dataclass
class Bench:
    upstream: RoutedUpstream
    queue: RecordQueue
    writer: RecordWriter
    now_s: list[float]
    counted: Counter[str] = field(default_factory=Counter)

    def write(self, *names: str, identity: Headers = ()) -> None:
        for name in names:
            assert self.queue.put(record(name, user_query=name), identity)
        self.writer.write_all()

    def written(self) -> list[str]:
        return [each["query_id"] for sent in self.upstream.sent_to(BULK) for each in documents(sent)]


KEYWORD = mapped({"type": "keyword"})


@contextmanager
def bench(
    headers: Headers = (),
    *,
    is_service: bool = False,
    mapping: Route = KEYWORD,
    bulk: Route = take_all,
) -> Iterator[Bench]:
    now_s = [100.0]
    with (
        routed({"/_cat/plugins": lambda _: (200, []), MAPPING: mapping, BULK: bulk}) as upstream,
        closing(Upstream(upstream.url)) as client,
    ):
        queue = RecordQueue(clock=lambda: now_s[0])
        writer = RecordWriter(
            IndexTarget(client, queue.clock), queue, PluginPresence(client), headers, is_service=is_service
        )
        found = Bench(upstream, queue, writer, now_s)
        writer.on_result = lambda result, count: found.counted.update({result: count})
        yield found


def test_records_are_created_under_ids_of_their_own() -> None:
    with bench() as found:
        found.write("a", "b")
        (sent,) = found.upstream.sent_to(BULK)
    actions = [json.loads(line) for line in sent.body.splitlines()[::2]]
    assert actions == [{"create": {"_index": "ubi_queries", "_id": f"response-{name}"}} for name in "ab"]
    assert [each["user_query"] for each in documents(sent)] == ["a", "b"]
    assert found.counted == {"written": 2}


@pytest.mark.parametrize("is_service", [True, False])
def test_one_request_for_the_service_account_or_one_a_caller(is_service: bool) -> None:
    with bench(SERVICE if is_service else (), is_service=is_service) as found:
        for name, identity in (("a", ALICE), ("b", BOB), ("c", ALICE)):
            found.queue.put(record(name), identity)
        found.writer.write_all()
        sent = found.upstream.sent_to(BULK)
    names = [[each["query_id"] for each in documents(request)] for request in sent]
    logins = [request.headers.get("Authorization") for request in sent]
    if is_service:
        assert (names, logins) == ([["a", "b", "c"]], ["Basic service"])
    else:
        assert (names, logins) == ([["a", "c"], ["b"]], ["Basic alice", "Basic bob"])


def test_an_index_that_is_not_there_is_never_created() -> None:
    with bench(mapping=lambda _: (404, {})) as found:
        found.write("a", "b")
    assert found.upstream.sent_to(BULK) == []
    assert found.counted == {"no_index": 2}


def test_losses_are_told_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    with bench(mapping=lambda _: (404, {})) as found, caplog.at_level(logging.WARNING, "twinrank.ubi"):
        found.queue.put(record("a"), ())
        found.writer.start()
        found.writer.stop()
    assert "1 UBI records were lost, reason=no_index: there is no index ubi_queries." in caplog.text
    assert "twinrank ubi create" in caplog.text


@pytest.mark.parametrize("path", ["mapping", "bulk"])
@pytest.mark.parametrize(("status", "reason"), [(401, "denied"), (403, "denied"), (400, "rejected")])
def test_what_is_refused_is_lost(path: str, status: int, reason: str) -> None:
    def refuse(_: SentRequest) -> tuple[int, object]:
        return status, {"error": "no"}

    with bench(mapping=refuse) if path == "mapping" else bench(bulk=refuse) as found:
        found.write("a", "b")
    assert found.counted == {reason: 2}
    assert len(found.queue) == 0


@pytest.mark.parametrize("status", [429, 503])
def test_what_may_be_written_later_waits_and_is_written_once(status: int) -> None:
    answers = iter([(status, {}), (200, {"items": [{"create": {"status": 201}}] * 2})])
    with bench(bulk=lambda _: next(answers)) as found:
        found.write("a", "b")
        assert (found.counted, len(found.queue)) == ({}, 2)
        found.writer.write_all()
    assert found.counted == {"written": 2}


def test_each_document_has_a_result_of_its_own() -> None:
    items = [
        {"create": {"status": 201}},
        {"create": {"status": 409}},
        {"create": {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": "no"}}},
        {"create": {"status": 429, "error": {"type": "busy", "reason": "later"}}},
        {"create": {"status": 403, "error": {"type": "security_exception", "reason": "no"}}},
    ]
    with bench(bulk=lambda _: (200, {"items": items})) as found:
        found.write(*"abcde")
    assert found.counted == {"written": 2, "rejected": 1, "denied": 1}
    assert [each.record.query_id for each in found.queue.take(9)] == ["d"]


def test_in_a_callers_name_nothing_is_kept_longer_than_it_may() -> None:
    with bench(bulk=lambda _: (503, {})) as found:
        found.write("a", identity=ALICE)
        assert len(found.queue) == 1
        found.now_s[0] += KEPT_FOR_A_CALLER_S + 0.1
        found.writer.write_all()
    assert (found.counted, len(found.queue)) == ({"expired": 1}, 0)


def test_an_opensearch_that_is_away_loses_records_in_the_end() -> None:
    with bench(SERVICE, is_service=True) as found:
        found.writer._target = IndexTarget(Upstream("http://127.0.0.1:9"))  # nothing listens there
        found.write("a")
        assert len(found.queue) == 1
        found.now_s[0] += 61
        found.writer.write_all()
    assert found.counted == {"expired": 1}


def test_the_index_is_looked_for_again_after_a_while() -> None:
    with bench() as found:
        found.write("a")
        found.write("b")
        assert len(found.upstream.sent_to(MAPPING)) == 1
        found.upstream.routes[MAPPING] = lambda _: (404, {})
        found.now_s[0] += CHECKED_S
        found.write("c")
    assert found.written() == ["a", "b"]
    assert found.counted == {"written": 2, "no_index": 1}


@pytest.mark.parametrize(
    ("mapping", "given", "expected"),
    [
        ({"type": "keyword"}, "a", "a"),
        ({"type": "keyword"}, {"query": "a"}, '{"query":"a"}'),
        ({"type": "text"}, "a", "a"),
        ({"type": "flat_object"}, "a", {"query": "a"}),
        ({"properties": {"query": {"type": "text"}}}, "a", {"query": "a"}),
        ({"type": "object"}, {"text": "a"}, {"text": "a"}),
    ],
    ids=str,
)
def test_the_text_has_the_form_that_the_index_takes(
    mapping: dict[str, Any], given: str | dict[str, str], expected: object
) -> None:
    with bench(mapping=mapped(mapping)) as found:
        found.queue.put(record("a", user_query=given), ())
        found.writer.write_all()
        (sent,) = found.upstream.sent_to(BULK)
    assert documents(sent)[0]["user_query"] == expected
