"""Clients that sniff ask for the nodes' addresses; they must come back to the proxy, or it must say so."""

import gzip
import json
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from click.testing import CliRunner
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.commands.serve import serve_command
from plugin.encoding.model import Model
from plugin.http.headers import is_address
from plugin.passthrough.publish_address import AUTO, UNCHANGED, asks_for_addresses, replace_addresses
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.paths import TINY_BUNDLE

ASKED = [
    "/_nodes/http", "/_nodes", "/_nodes/_all/http", "/_nodes/_local/http?pretty", "/_nodes/http,settings",
    "/_nodes/_all/info/http", "/_nodes/http?filter_path=nodes.*.http.publish_address",
]  # fmt: skip
NOT_ASKED = [
    "/_nodes/stats",
    "/_nodes/_all/stats/http",
    "/_nodes/usage",
    "/_nodes/hot_threads",
    "/_cat/nodes?v",
]


def addresses(body: bytes) -> list[str]:
    nodes: dict[str, Any] = json.loads(body)["nodes"]
    return [node["http"]["publish_address"] for node in nodes.values()]


@pytest.mark.live
def test_a_client_that_sniffs_goes_on_through_the_proxy(
    proxy_url: str, client: OpenSearch, toy_index: ToyIndex, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(toy_index.bundle))
    with OpenSearch(proxy_url, sniff_on_start=True, sniff_on_connection_fail=True) as sniffing:
        hosts = [str(each.host) for each in sniffing.transport.connection_pool.connections]
        assert hosts == [proxy_url]
        sniffing.index(index=index_name, id="1", body={"text": "wait a bit"}, refresh=True)
    assert "rerank" in client.get(index=index_name, id="1")["_source"]


@pytest.mark.live
@pytest.mark.parametrize("target", ASKED)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_nothing_else_of_the_answer_changes(
    proxy_url: str, opensearch_url: str, target: str, coding: str
) -> None:
    filtered = (
        target + ("&" if "?" in target else "?") + "filter_path=nodes.*.http,nodes.*.name,nodes.*.transport"
    )
    asked = {"Accept-Encoding": coding}
    straight, through = (ask(url, "GET", filtered, None, asked) for url in (opensearch_url, proxy_url))
    body = gzip.decompress(straight.body) if coding == "gzip" else straight.body
    theirs, ours = (url.removeprefix("http://").encode() for url in (opensearch_url, proxy_url))
    assert through.body == body.replace(b'ress" : "' + theirs, b'ress" : "' + ours).replace(
        b'"publish_address":"' + theirs, b'"publish_address":"' + ours
    )
    assert through.body != body


@pytest.mark.parametrize(
    "target", [*ASKED, "//_nodes//http", "/_cat/nodes?h=ip,http", "/_cat/nodes?v&h=http_address"]
)
def test_what_asks_for_addresses(target: str) -> None:
    assert asks_for_addresses("GET", target)
    assert not asks_for_addresses("POST", target)


@pytest.mark.parametrize("target", [*NOT_ASKED, "/_nodesx", "/index/_nodes/http", "/_cluster/state/nodes"])
def test_what_does_not(target: str) -> None:
    assert not asks_for_addresses("GET", target)


def test_an_address_is_changed_in_http_alone() -> None:
    body = (
        b'{"nodes":{"a":{"name":"\\"http\\":{\\"publish_address\\":\\"x\\"","settings":{"http":{"type":{"a":"b"}}},'
        b'"transport":{"publish_address":"t:9300"},"http":{"bound_address":["x:1"],"publish_address":"h/x:1"}}}}'
    )
    assert replace_addresses(body, "p:9100") == body.replace(b'"h/x:1"', b'"p:9100"')


@contextmanager
def proxied(url: str, publish_address: str) -> Iterator[Client]:
    with closing(Upstream(url)) as upstream:
        model = Model.load(Bundle.open(TINY_BUNDLE))
        yield Client(Proxy(upstream, model, publish_address=publish_address))


@pytest.mark.live
@pytest.mark.parametrize(("publish_address", "base_url", "headers", "told"), [
    (AUTO, "http://search.example.com:9100", {}, "search.example.com:9100"),
    (AUTO, "http://search.example.com", {}, "search.example.com:80"),
    (AUTO, "https://search.example.com", {}, "search.example.com:443"),
    (AUTO, "http://[::1]:9100", {}, "[::1]:9100"),
    (AUTO, "http://inner:9100", {"X-Forwarded-For": "10.0.0.1"}, None),
    (AUTO, "http://inner:9100", {"Via": "1.1 balancer"}, None),
    ("outer.example.com:443", "http://inner:9100", {"X-Forwarded-For": "10.0.0.1"}, "outer.example.com:443"),
    (UNCHANGED, "http://search.example.com:9100", {}, None),
])  # fmt: skip
def test_which_address_is_told(
    opensearch_url: str, publish_address: str, base_url: str, headers: dict[str, str], told: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    with proxied(opensearch_url, publish_address) as client, caplog.at_level(logging.INFO, "twinrank"):
        for _ in range(2):
            answer = client.get("/_nodes/http", base_url=base_url, headers=headers, buffered=True)
            assert addresses(answer.data) == [told or opensearch_url.removeprefix("http://")]
    [line] = [each for each in caplog.messages if "asked for the nodes' addresses" in each]
    assert (told or "Turn sniffing off in the client") in line


@pytest.mark.live
def test_a_table_of_addresses_is_logged(opensearch_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with proxied(opensearch_url, AUTO) as client:
        answer = client.get("/_cat/nodes?h=http", buffered=True)
        assert answer.data.strip().decode() == opensearch_url.removeprefix("http://")
    assert "next requests bypass the proxy" in caplog.text


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":9100", "host:0", "host:65536", "a b:1", "http://a:1", 'a":1']
)
def test_what_is_no_address(text: str) -> None:
    assert not is_address(text)
    if text:
        ran = CliRunner().invoke(serve_command, ["--publish-address", text])
        assert ran.exit_code == 2
        assert "expected auto, unchanged, or a host and port" in ran.output
