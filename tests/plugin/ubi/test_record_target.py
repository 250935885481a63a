"""Data Prepper as the target of records: what its `http` source gets, and what its answers mean."""

import json
from contextlib import closing

import pytest

from plugin.ubi.record import RecordingOptions, UbiRecord
from plugin.ubi.record_target import DataPrepperTarget, UnwritableError
from plugin.ubi.recorder import create_recorder
from plugin.upstream.client import Upstream
from plugin.upstream.connecting import Connecting
from tests.support.http.routed_upstream import routed
from tests.support.waiting import until

RECORDS = [UbiRecord("t", name, f"r-{name}", ["1"], "c", {"a": "b"}, user_query=name) for name in "ab"]
CALLER = (("Authorization", "Basic caller"),)


def test_it_gets_one_array_with_its_own_credentials() -> None:
    with routed({"/log/ingest": lambda _: (200, b"")}) as sink, closing(Upstream(sink.url)) as upstream:
        target = DataPrepperTarget(upstream, "/log/ingest", (("Authorization", "Basic sink"),))
        results = target.write(RECORDS, CALLER)
    (sent,) = sink.sent
    assert [each.result for each in results] == ["written", "written"]
    assert [each["query_id"] for each in json.loads(sent.body)] == ["a", "b"]
    assert (sent.method, sent.headers["Authorization"]) == ("POST", "Basic sink")


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "rejected"), (413, "rejected"), (401, "denied"), (408, None), (429, None)]
)
def test_its_refusals_lose_records_or_keep_them(status: int, reason: str | None) -> None:
    with (
        routed({"/log/ingest": lambda _: (status, b"no")}) as sink,
        closing(Upstream(sink.url)) as upstream,
        pytest.raises(UnwritableError, match=f"answered {status}: no") as refused,
    ):
        DataPrepperTarget(upstream, "/log/ingest", ()).write(RECORDS, ())
    assert refused.value.reason == reason


def test_a_recorder_with_a_sink_writes_nothing_to_opensearch() -> None:
    with (
        routed({"/log/ingest": lambda _: (200, b"")}) as sink,
        routed({"/_cat/plugins": lambda _: (200, [])}) as opensearch,
        closing(Upstream(opensearch.url)) as upstream,
    ):
        options = RecordingOptions(sink=sink.url.replace("//", "//USER:PASSWORD@"))
        recorder = create_recorder(upstream, Connecting(opensearch.url), options)
        recorder._queue.put(RECORDS[0], ())
        recorder._writer.start()
        until(lambda: bool(sink.sent), "a record")
        recorder.stop()
    assert {each.path for each in opensearch.sent} <= {"/_cat/plugins"}
    assert sink.sent[0].headers["Authorization"].startswith("Basic ")
    assert "PASSWORD" not in repr(options)
