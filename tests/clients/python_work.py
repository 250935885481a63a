"""The ordinary work of a client, with opensearch-py; run with URL, INDEX and MAPPINGS."""

import json
import sys
from collections.abc import Callable
from typing import Any

from opensearchpy import OpenSearch, TransportError, helpers

QUERY = {"match": {"text": "alpha"}}


def work(url: str, index: str, mappings: dict[str, Any]) -> dict[str, Any]:
    """Do it, and return what each step found."""
    with OpenSearch(url, timeout=60) as client:
        client.indices.create(index=index, body={"mappings": mappings})
        found = written(client, index) | searched(client, index) | changed(client, index)
        client.indices.delete(index=index)
    return found


def written(client: OpenSearch, index: str) -> dict[str, Any]:
    """Index one document, and some in bulk."""
    one = client.index(index=index, id="1", body={"text": "alpha beta", "n": 1}, refresh=True)
    actions = [{"_index": index, "_id": str(n), "text": f"alpha number {n}", "n": n} for n in range(2, 7)]
    return {"index": one["result"], "bulk": helpers.bulk(client, actions, refresh=True)}


def searched(client: OpenSearch, index: str) -> dict[str, Any]:
    """Search in every way that clients have helpers for."""
    answer = client.search(index=index, body={"query": QUERY})
    pit = client.create_pit(index=index, params={"keep_alive": "1m"})["pit_id"]
    several = client.msearch(
        body=[{"index": index}, {"query": QUERY}, {"index": index}, {"query": {"term": {"n": 3}}}]
    )
    found = {
        "search": ids(answer),
        "sources": sorted(json.dumps(hit["_source"]) for hit in answer["hits"]["hits"]),
        "total": answer["hits"]["total"],
        "msearch": [ids(each) for each in several["responses"]],
        "scroll": sorted(
            hit["_id"] for hit in helpers.scan(client, index=index, query={"query": QUERY}, size=4)
        ),
        "pit": ids(client.search(body={"query": QUERY, "pit": {"id": pit}})),
    }
    client.delete_pit(body={"pit_id": [pit]})
    return found


def changed(client: OpenSearch, index: str) -> dict[str, Any]:
    """Get, update, delete; aliases, cat, and errors."""
    found = {"get": client.get(index=index, id="2")["_source"]}
    body = {"doc": {"text": "gamma"}}
    found["update"] = client.update(index=index, id="2", body=body, refresh=True)["result"]
    found["updated"] = client.get(index=index, id="2")["_source"]
    found["delete"] = client.delete(index=index, id="3", refresh=True)["result"]
    found["exists"] = [client.exists(index=index, id=each) for each in "23"]
    found["count"] = client.count(index=index, body={"query": QUERY})["count"]
    client.indices.put_alias(index=index, name=f"{index}-alias")
    found["alias"] = ids(client.search(index=f"{index}-alias", body={"query": QUERY}))
    found["cat"] = [row["docs.count"] for row in client.cat.indices(index=index, format="json")]
    found["missing"] = failure(lambda: client.get(index=index, id="none"))
    found["refused"] = failure(lambda: client.search(index=index, body={"query": {"nonsense": {}}}))
    return found


def ids(answer: dict[str, Any]) -> list[str]:
    """Return a page's ids, sorted: the order is what may differ."""
    return sorted(hit["_id"] for hit in answer["hits"]["hits"])


def failure(call: Callable[[], Any]) -> tuple[Any, str]:
    """Return status and type of the error that a call raises."""
    try:
        call()
    except TransportError as error:
        return error.status_code, error.error
    return 200, "no error"


if __name__ == "__main__":
    print(json.dumps(work(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))  # noqa: T201
