"""Remove the stored vectors of an index, each only if its document has not changed meanwhile."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from opensearch.errors import DeniedError, MappingError, read_reason
from opensearch.index.metadata import find_indices, refresh
from opensearch.index.write_obstacle import check_writable

PAGE = 250
"""Documents of one request."""

MAX_PASSES = 5
"""How often documents that are being written at that moment are tried again."""

_SCROLL = "5m"
_SCRIPT = """
String[] path = params.path.splitOnToken('.');
if (ctx._source.containsKey(params.path)) { ctx._source.remove(params.path); }
List parents = new ArrayList();
def node = ctx._source;
for (int i = 0; i < path.length - 1 && node instanceof Map; i++) {
  parents.add(node);
  node = node.get(path[i]);
}
if (node instanceof Map) { node.remove(path[path.length - 1]); }
for (int i = parents.size() - 1; i >= 0; i--) {
  def child = parents[i].get(path[i]);
  if (child instanceof Map && child.isEmpty()) { parents[i].remove(path[i]); }
}
""".replace("\n", " ")
"""An object that held nothing but the vector is removed too."""


@dataclass
class StripResult:
    """How many documents have lost their vector, and how many still have one."""

    removed: int = 0
    left: int = 0


def check_strip(client: OpenSearchClient, name: str) -> None:
    """Check that vectors may be removed from every index behind a name.

    Raises:
        MappingError: an index's writers give versions of their own, which an update would move; or its
            documents cannot be written again, or not without a loss.
        SettingsError: an index's vectors are its own.
        RequestError: OpenSearch cannot be asked.
    """
    found = find_indices(client, name)
    for index in found:
        index.rerank_settings().check_managed(
            index.name, f"Nothing was changed. Without --strip: twinrank disable {index.name}"
        )
    check_writable(found)
    for index in found:
        if index.rerank_settings().versioning == "external":
            raise MappingError(
                f"{index.name}: expected versions that OpenSearch counts, found `versioning: external`:"
                " removing vectors moves versions, and the writers' next ones could be refused. Reindex into"
                " a new index, with the ingest pipeline of opensearch/deploy/templates"
            )


def strip(
    client: OpenSearchClient,
    index: str,
    field: str,
    *,
    documents_per_s: float | None = None,
    progress: Callable[[int, int], None] = lambda removed, total: None,
) -> StripResult:
    """Remove `field` from every document of one concrete index that has it.

    Each is a `_bulk` update under `if_seq_no`: an index's ingest pipelines do not run, and a document that
    was written in between stays as it is until the next pass. `progress` gets the number removed so
    far, and of how many.

    Args:
        client: of the OpenSearch.
        index: a concrete index.
        field: the vector field, dotted.
        documents_per_s: pace; None is as fast as it goes.
        progress: called after each request.

    Raises:
        RequestError: OpenSearch cannot be asked, or refuses; what was removed stays removed.
    """
    done, started_s = StripResult(), time.monotonic()
    for _ in range(MAX_PASSES):
        refresh(client, index)
        done.left = count_vectors(client, index, field)
        if not done.left:
            break
        total = done.removed + done.left
        for hits in _read_pages(client, index, field):
            done.removed += _remove_from_page(client, index, field, hits)
            progress(done.removed, total)
            if documents_per_s is not None:
                time.sleep(max(0.0, done.removed / documents_per_s - (time.monotonic() - started_s)))
    return done


def count_vectors(client: OpenSearchClient, index: str, field: str) -> int:
    """Return how many documents of an index have a vector, as far as it is refreshed.

    Raises:
        RequestError: OpenSearch cannot be asked.
    """
    count: int = client.request("POST", index_path(index, "_count"), {"query": _build_query(field)})["count"]
    return count


def _read_pages(client: OpenSearchClient, index: str, field: str) -> Iterator[list[dict[str, Any]]]:
    body = {
        "size": PAGE,
        "query": _build_query(field),
        "sort": ["_doc"],
        "_source": False,
        "seq_no_primary_term": True,
    }
    answer = client.request("POST", index_path(index, "_search"), body, params={"scroll": _SCROLL})
    try:
        while answer["hits"]["hits"]:
            yield answer["hits"]["hits"]
            more = {"scroll": _SCROLL, "scroll_id": answer["_scroll_id"]}
            answer = client.request("POST", "/_search/scroll", more)
    finally:
        client.request("DELETE", "/_search/scroll", {"scroll_id": answer["_scroll_id"]})


def _remove_from_page(client: OpenSearchClient, index: str, field: str, hits: list[dict[str, Any]]) -> int:
    script = json.dumps({"script": {"source": _SCRIPT, "lang": "painless", "params": {"path": field}}})
    lines = [line for hit in hits for line in (json.dumps({"update": _build_address(hit)}), script)]
    body = "\n".join([*lines, ""]).encode()
    items = client.request("POST", index_path(index, "_bulk"), body)["items"]
    for item in items:
        if item["update"]["status"] in (401, 403):
            reason = read_reason(item["update"].get("error"))
            raise DeniedError(
                f"{index}: OpenSearch does not allow to remove a vector: {reason}."
                " docs/how-to/secured-clusters.md says what rights that takes"
            )
    return sum(item["update"]["status"] == 200 for item in items)


def _build_address(hit: dict[str, Any]) -> dict[str, Any]:
    routing = {"routing": hit["_routing"]} if "_routing" in hit else {}
    return {
        "_id": hit["_id"],
        "if_seq_no": hit["_seq_no"],
        "if_primary_term": hit["_primary_term"],
        **routing,
    }


def _build_query(field: str) -> dict[str, Any]:
    return {"exists": {"field": field}}
