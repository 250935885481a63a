"""One poller a host, on a real cluster: what it sees, what it costs, and who takes over."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch.settings.skip import Skip
from opensearch.settings.table import RerankSettings
from plugin.settings.poller import SettingsPoller
from plugin.upstream.client import Exchange, Upstream
from tests.support.http.counted_upstream import CountingUpstream
from tests.support.indices.settings_index import FIELD, META, body
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]


@pytest.fixture
def upstream(opensearch_url: str) -> Iterator[CountingUpstream]:
    with closing(CountingUpstream(opensearch_url)) as opened:
        yield opened


@pytest.fixture
def poller(upstream: CountingUpstream, tmp_path: Path) -> Iterator[SettingsPoller]:
    made = SettingsPoller(upstream, (), tmp_path, {})
    made.start()
    yield made
    made.stop()


def seen(poller: SettingsPoller, name: str) -> RerankSettings | Skip | None:
    view = poller.view()
    target = view.find_target(name) if view else None
    return target.settings if target else None


def window(poller: SettingsPoller, name: str) -> int | None:
    settings = seen(poller, name)
    return settings.window_size if isinstance(settings, RerankSettings) else None


def put_window(client: OpenSearch, name: str, size: int) -> None:
    meta = {"rerank": {**META["rerank"], "window_size": size}}
    client.indices.put_mapping(index=name, body={"_meta": meta})


def test_an_index_from_creation_to_recreation(
    client: OpenSearch, poller: SettingsPoller, index_name: str
) -> None:
    client.indices.create(index=index_name, body=body(aliases={f"{index_name}-alias": {}}))
    until(lambda: window(poller, index_name) == 100, "created")
    put_window(client, index_name, 30)
    until(lambda: window(poller, index_name) == 30, "changed")
    assert window(poller, f"{index_name}-alias") == 30
    assert window(poller, f"{index_name},{index_name}-alias") == 30
    client.indices.put_mapping(index=index_name, body={"_meta": {"owner": "somebody"}})
    until(lambda: seen(poller, index_name) == Skip("settings"), "overwritten")
    client.indices.delete(index=index_name)
    until(lambda: seen(poller, index_name) is None, "deleted")
    client.indices.create(index=index_name)
    until(lambda: seen(poller, index_name) == Skip("not_enabled"), "created anew, without settings")


def test_what_only_opensearch_can_expand_is_not_answered(
    client: OpenSearch, poller: SettingsPoller, index_name: str
) -> None:
    client.indices.create(index=index_name, body=body())
    until(lambda: window(poller, index_name) == 100, "created")
    for expression in (
        f"{index_name}*",
        f"{index_name},-x",
        "_all",
        "",
        "<x-{now/d}>",
        f"r:{index_name}",
    ):
        assert seen(poller, expression) is None, expression


def test_a_data_stream_follows_its_template(client: OpenSearch, poller: SettingsPoller) -> None:
    """The new backing index brings the changed template's settings; the old ones keep theirs."""
    name, template = "poller-logs", "poller-template"

    def put_template(size: int) -> None:
        meta = {"rerank": {**META["rerank"], "window_size": size}}
        mappings = {"_meta": meta, "properties": FIELD}
        client.indices.put_index_template(
            name=template,
            body={"index_patterns": [name], "data_stream": {}, "template": {"mappings": mappings}},
        )

    put_template(20)
    client.indices.create_data_stream(name=name)
    try:
        until(lambda: window(poller, name) == 20, "the first backing index")
        put_template(60)
        client.indices.rollover(alias=name)
        until(lambda: window(poller, name) == 60, "rolled over")
    finally:
        client.indices.delete_data_stream(name=name)
        client.indices.delete_index_template(name=template)
    until(lambda: seen(poller, name) is None, "deleted")


def test_all_settings_are_read_only_when_something_has_changed(
    client: OpenSearch, upstream: CountingUpstream, poller: SettingsPoller, index_name: str
) -> None:
    client.indices.create(index=index_name, body=body())
    until(lambda: window(poller, index_name) == 100, "created")
    before = upstream.asked.count("/*")
    state_asked = upstream.asked.count("/_cluster/state/version")
    client.index(index=index_name, body={"n": 1})  # maps a field: the state changes once
    until(lambda: upstream.asked.count("/_cluster/state/version") >= state_asked + 4, "four more looks")
    assert 0 <= upstream.asked.count("/*") - before <= 2


class SlowUpstream(CountingUpstream):
    """An OpenSearch that takes its time to tell all settings, as one with thousands of indices does."""

    def exchange(self, method: str, target: str, *rest: Any, **more: Any) -> Exchange:  # noqa: ANN401
        if target.startswith("/*"):
            time.sleep(0.5)
        return super().exchange(method, target, *rest, **more)


def test_a_cluster_that_changes_all_the_time_is_read_a_tenth_of_the_time(
    client: OpenSearch, opensearch_url: str, tmp_path: Path, index_name: str
) -> None:
    """Reading takes half a second, so that the next one begins five later at the earliest."""
    client.indices.create(index=index_name, body=body())
    with closing(SlowUpstream(opensearch_url)) as upstream:
        poller = SettingsPoller(upstream, (), tmp_path, {})
        poller.start()
        until(lambda: upstream.asked.count("/*") == 1, "the first reading")
        until(lambda: poller.view() is not None, "a view")
        began_s = time.monotonic()
        for size in range(1, 5):
            put_window(client, index_name, size)
            looks = upstream.asked.count("/_cluster/state/version")
            until(lambda seen=looks: upstream.asked.count("/_cluster/state/version") > seen, "a look")  # type: ignore[misc]
        most = 2 + (time.monotonic() - began_s) / 5
        assert upstream.asked.count("/*") <= most
        until(lambda: window(poller, index_name) == 4, "the last change is followed all the same")
        poller.stop()


def test_one_leads_and_when_it_stops_another_does(
    client: OpenSearch, opensearch_url: str, tmp_path: Path, index_name: str
) -> None:
    upstreams = [CountingUpstream(opensearch_url) for _ in range(3)]
    pollers = [SettingsPoller(each, (), tmp_path, {}) for each in upstreams]
    for poller in pollers:
        poller.start()
    try:
        client.indices.create(index=index_name, body=body())
        until(lambda: all(window(each, index_name) == 100 for each in pollers), "all follow")
        [leader] = [each for each in pollers if each.is_leader]
        assert [bool(each.asked) for each in upstreams] == [each is leader for each in pollers]
        pollers.remove(leader)
        leader.stop()
        until(lambda: sum(each.is_leader for each in pollers) == 1, "another leads")
        put_window(client, index_name, 30)
        until(lambda: all(window(each, index_name) == 30 for each in pollers), "the others still follow")
    finally:
        for poller in pollers:
            poller.stop()
        for upstream in upstreams:
            upstream.close()


def test_wrong_settings_are_told_once(
    client: OpenSearch, poller: SettingsPoller, index_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "twinrank.settings"):
        client.indices.create(index=index_name, body={"mappings": {"_meta": {"rerank": {"modle": "m"}}}})
        until(lambda: seen(poller, index_name) == Skip("settings"), "seen")
        client.index(index=index_name, body={"n": 1})
        put_window(client, index_name, 5)
        until(lambda: window(poller, index_name) == 5, "corrected")
    told = [record.getMessage() for record in caplog.records if index_name in record.getMessage()]
    assert len(told) == 1
    assert "did you mean `model`?" in told[0]


class _Forbidding(BaseHTTPRequestHandler):
    """Stands for a cluster whose security plugin refuses: the server of the tests has no such plugin."""

    def do_GET(self) -> None:
        self.server.seen.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def test_an_account_that_may_not_is_told_once_and_gives_no_view(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Forbidding)
    server.seen = []  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    upstream = Upstream(url)
    poller = SettingsPoller(upstream, (("Authorization", "Basic eDp5"),), tmp_path, {})
    with caplog.at_level(logging.WARNING, "twinrank.settings"):
        poller.start()
        until(lambda: bool(caplog.records), "told")
        time.sleep(1.5)
    poller.stop()
    upstream.close()
    server.shutdown()
    server.server_close()
    assert poller.view() is None
    assert server.seen == ["Basic eDp5"], "asked again too soon"  # type: ignore[attr-defined]
    assert "answered 403" in caplog.text
    assert "read as its caller" in caplog.text


def test_a_view_without_heartbeat_is_not_used(
    client: OpenSearch, poller: SettingsPoller, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.indices.create(index=index_name, body=body())
    until(lambda: window(poller, index_name) == 100, "created")
    monkeypatch.setattr("plugin.settings.poller.STALE_S", 0.0)
    assert poller.view() is None
