"""Thousands of real indices with settings of their own, as a large cluster has them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from opensearch.client import OpenSearchClient
from plugin.upstream.client import Exchange, Upstream

SERVER_SETTINGS: dict[str, str | int | bool | list[str]] = {"cluster.max_shards_per_node": 20_000}
FIELDS = 20
"""Of each index's mapping beside ours: about 1.5 KB."""

_DELETED_AT_ONCE = 100


@dataclass(frozen=True)
class Asked:
    """One request of the poller: its path, how long its answer took and how long that is."""

    path: str
    took_ms: float
    num_bytes: int


class MeasuredUpstream(Upstream):
    """Notes every request, with its time and the length of its answer."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.asked: list[Asked] = []

    def exchange(self, method: str, target: str, *rest: Any, **more: Any) -> Exchange:  # noqa: ANN401
        """Send one request, and note it."""
        began = time.perf_counter()
        answer = super().exchange(method, target, *rest, **more)
        took_ms = (time.perf_counter() - began) * 1000
        self.asked.append(Asked(target.partition("?")[0], took_ms, len(answer.body)))
        return answer


def crowd_names(count: int) -> list[str]:
    """Return the indices' names."""
    return [f"crowd-{n}" for n in range(count)]


def make_crowd(client: OpenSearchClient, names: Sequence[str], model: str) -> None:
    """Make empty indices of one shard, each with settings that differ a little and an alias."""
    for n, name in enumerate(names):
        client.request("PUT", f"/{name}", _body(n, model), params={"wait_for_active_shards": "0"})
    client.request("GET", "/_cluster/health/crowd-*?wait_for_status=green&timeout=600s")


def delete_crowd(client: OpenSearchClient, names: Sequence[str]) -> None:
    """Delete them."""
    for start in range(0, len(names), _DELETED_AT_ONCE):
        client.request("DELETE", f"/{','.join(names[start : start + _DELETED_AT_ONCE])}")


def _body(n: int, model: str) -> dict[str, Any]:
    rerank = {"model": model, "source_fields": ["title", "text"], "window_size": 50 + n % 50}
    vector = {"type": "binary", "doc_values": True}
    fields = {f"field_{m}": {"type": "text", "analyzer": "standard"} for m in range(FIELDS)}
    return {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0},
        "aliases": {f"crowd-alias-{n % 50}": {}},
        "mappings": {
            "_meta": {"rerank": rerank, "owner": f"team {n % 7}"},
            "properties": {"rerank": {"properties": {"vector": vector}}, **fields},
        },
    }


def write_window(client: OpenSearchClient, name: str, window_size: int) -> None:
    """Change one index's settings as a tool would: `_meta` read, changed and written whole."""
    found = client.request("GET", f"/{name}/_mapping")
    meta = next(iter(found.values()))["mappings"]["_meta"]
    meta["rerank"]["window_size"] = window_size
    client.request("PUT", f"/{name}/_mapping", msgspec.to_builtins({"_meta": meta}))
