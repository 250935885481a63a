"""Several hosts in front of one OpenSearch: asked in turn, left out while they fail, nothing done twice."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.encoding.model import Model
from plugin.errors import UpstreamError, UpstreamTimeoutError
from plugin.harness.proxy_process import free_port
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from plugin.upstream.host import Host
from plugin.upstream.pool import Hosts
from reranker.bundle import Bundle
from tests.support.http.relay import Relay
from tests.support.http.scripted_upstream import CLOSE, NO_BODY, scripted
from tests.support.http.upstream_hosts import left_out, url_of
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE
from tests.support.waiting import until


def dead() -> str:
    return f"http://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_host_that_cannot_be_reached_is_passed_over_for_every_method(method: str) -> None:
    with scripted(NO_BODY, NO_BODY) as url, closing(Upstream(url_of(dead(), url))) as upstream:
        for _ in range(2):
            streamed = upstream.stream(method, "/", (), iter([b"once"]), 4)
            assert (streamed.status, list(streamed)) == (200, [])
            streamed.close()
        assert left_out(upstream) == [True, False]


def test_a_read_is_repeated_on_the_next_host_and_a_write_is_not() -> None:
    sent: list[bytes] = []
    with (
        scripted(*[CLOSE] * 2) as broken,
        scripted(NO_BODY, bodies=sent) as good,
        closing(Upstream(url_of(broken, good))) as upstream,
    ):
        with pytest.raises(UpstreamError, match="expected OpenSearch at"):
            upstream.stream("POST", "/books/_doc", (), b"{}", 2)
        assert not sent
    with (
        scripted(*[CLOSE] * 2) as broken,
        scripted(NO_BODY, bodies=sent) as good,
        closing(Upstream(url_of(broken, good))) as upstream,
    ):
        with closing(upstream.stream("POST", "/books/_search", (), b"{}", 2, may_repeat=True)) as streamed:
            assert (streamed.status, list(streamed)) == (200, [])
        assert sent == [b"{}"]


def test_what_is_not_answered_in_time_is_not_asked_of_another_host() -> None:
    """It may still be at work there, and would be done twice."""
    sent: list[bytes] = []
    with (
        scripted(None) as hung,
        scripted(NO_BODY, bodies=sent) as good,
        closing(Upstream(url_of(hung, good), read_timeout_s=2.0)) as upstream,
    ):
        with pytest.raises(UpstreamTimeoutError):
            upstream.exchange("GET", "/", ())
        assert not sent
        assert left_out(upstream) == [True, False]


def test_where_all_have_failed_all_are_tried_again() -> None:
    with closing(Upstream(url_of(dead(), dead()))) as upstream:
        for _ in range(3):
            with pytest.raises(UpstreamError, match="Check that it runs"):
                upstream.exchange("GET", "/", ())


def host(url: str) -> Host:
    return Host(url, connect_timeout_s=0.2, read_timeout_s=1, max_idle=4, context=None)


def test_a_host_comes_back_once_it_answers_and_not_before() -> None:
    with scripted(*[NO_BODY] * 100) as url:  # a probe may give up too soon on a busy machine
        relay = Relay(url)
        away, other = host(relay.url), host(dead())
        with closing(Hosts([away, other], probe_s=0.02)) as hosts:
            relay.hang()
            hosts.record_failure(away)
            assert [each.url for each in hosts.list_by_turn()] == [other.url, away.url]
            time.sleep(0.2)
            assert hosts.states()[0].is_left_out, "it takes connections, but does not answer"
            relay.mend()
            until(lambda: not hosts.states()[0].is_left_out)
        relay.cut()


def test_hosts_are_asked_in_turn() -> None:
    three = [host(dead()) for _ in range(3)]
    with closing(Hosts(three)) as hosts:
        assert [hosts.list_by_turn()[0] for _ in range(6)] == three * 2


@pytest.fixture
def relays(opensearch_url: str) -> Iterator[list[Relay]]:
    """Yield three wires to the one OpenSearch."""
    with ExitStack() as opened:
        made = [Relay(opensearch_url) for _ in range(3)]
        for relay in made:
            opened.callback(relay.cut)
        yield made


@pytest.mark.live
def test_searches_and_writes_go_on_while_hosts_come_and_go(
    relays: list[Relay], toy_index: ToyIndex, client: OpenSearch, index_name: str
) -> None:
    """Each host is cut, hung and mended in turn: nothing fails, and no document is written twice."""
    urls = url_of(*[relay.url for relay in relays])
    with closing(Upstream(urls, connect_timeout_s=1.0, read_timeout_s=20.0)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        written = 0
        for round_, relay in enumerate(relays * 2):
            relay.cut()
            for _ in range(6):
                found = proxy.post(
                    f"/{toy_index.name}/_search", json={"query": toy_index.query}, buffered=True
                )
                assert (found.status_code, found.headers["Rerank-Status"][:7]) == (200, "applied")
                body = {"n": written, "round": round_}
                answer = proxy.post(f"/{index_name}/_doc", json=body, buffered=True)
                assert answer.status_code == 201
                written += 1
            assert any(left_out(upstream))
            relay.mend()
            until(lambda: not any(left_out(upstream)))
    client.indices.refresh(index=index_name)
    assert client.count(index=index_name)["count"] == written


@pytest.mark.live
def test_a_host_that_swallows_everything_is_left_out_after_one_timeout(relays: list[Relay]) -> None:
    urls = url_of(*[relay.url for relay in relays[:2]])
    with closing(Upstream(urls, connect_timeout_s=3.0, read_timeout_s=3.0)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        relays[0].hang()
        statuses = [proxy.get("/_cluster/health", buffered=True) for _ in range(8)]
        late = [json.loads(answer.data) for answer in statuses if answer.status_code != 200]
        assert [each["status"] for each in late] == [504]
        assert left_out(upstream) == [True, False]
        relays[0].mend()
        until(lambda: left_out(upstream) == [False, False])
