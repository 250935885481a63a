"""The address that clients which sniff are told, so that their next requests come here too.

A sniffing client (opensearch-py's `sniff_on_start`, the Java Sniffer, fluentd, Logstash) asks for the nodes'
HTTP addresses and talks to those from then on. OpenSearch's own lead past the proxy.
"""

import re

import msgspec

AUTO = "auto"
"""Tell clients the address that they asked."""

UNCHANGED = "unchanged"
"""Tell them what OpenSearch says."""

_OTHER_QUESTIONS = frozenset({"stats", "usage", "hot_threads", "reload_secure_settings"})
_PUBLISHED = re.compile(rb'("http"\s*:\s*\{[^{}]*?"publish_address"\s*:\s*)"[^"]*"')
_ASKS_FOR_HTTP = re.compile(r"[?&]h=[^&]*http")


def asks_for_addresses(method: str, target: str) -> bool:
    """Whether a request asks for the HTTP addresses of nodes."""
    return asks_for_nodes(method, target) or (
        method == "GET" and target.startswith("/_cat/nodes") and bool(_ASKS_FOR_HTTP.search(target))
    )


def asks_for_nodes(method: str, target: str) -> bool:
    """Whether it asks in JSON what nodes say of themselves, which is what clients that sniff read.

    `_cat/nodes` is a table for people.
    """
    parts = [part for part in target.partition("?")[0].split("/") if part]
    return method == "GET" and parts[:1] == ["_nodes"] and _OTHER_QUESTIONS.isdisjoint(parts)


def with_address(body: bytes, address: str) -> bytes:
    """Return an answer about nodes, in JSON, in which each has this HTTP address; all else as it was."""
    written = msgspec.json.encode(address)
    return _PUBLISHED.sub(lambda found: found[1] + written, body)
