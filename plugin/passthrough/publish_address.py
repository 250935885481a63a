"""The address that sniffing clients get, so that their next requests come to the proxy too.

A sniffing client (opensearch-py's `sniff_on_start`, the Java Sniffer, fluentd, Logstash) asks for the nodes'
HTTP addresses and talks to those from then on. OpenSearch's own lead past the proxy.
"""

import re

import msgspec

AUTO = "auto"
"""Publish the address that the client used."""

UNCHANGED = "unchanged"
"""Publish OpenSearch's own addresses."""

_OTHER_QUESTIONS = frozenset({"stats", "usage", "hot_threads", "reload_secure_settings"})
_PUBLISHED = re.compile(rb'("http"\s*:\s*\{[^{}]*?"publish_address"\s*:\s*)"[^"]*"')
_ASKS_FOR_HTTP = re.compile(r"[?&]h=[^&]*http")


def asks_for_addresses(method: str, target: str) -> bool:
    """Whether a request asks for the HTTP addresses of nodes."""
    return asks_for_nodes(method, target) or (
        method == "GET" and target.startswith("/_cat/nodes") and bool(_ASKS_FOR_HTTP.search(target))
    )


def asks_for_nodes(method: str, target: str) -> bool:
    """Whether a request asks for information about nodes in JSON, which is what sniffing clients read.

    `_cat/nodes` is a table for people.
    """
    parts = [part for part in target.partition("?")[0].split("/") if part]
    return method == "GET" and parts[:1] == ["_nodes"] and _OTHER_QUESTIONS.isdisjoint(parts)


def replace_addresses(body: bytes, address: str) -> bytes:
    """Return a JSON response about nodes in which each has this HTTP address; the rest is unchanged."""
    written = msgspec.json.encode(address)
    return _PUBLISHED.sub(lambda found: found[1] + written, body)
