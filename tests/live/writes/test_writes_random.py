"""Any sequence of writes through the proxy: OpenSearch's own answers and documents, and no stale vector.

Each sequence is sent twice: through the proxy to an index with settings, and straight to a twin without.
Answers and documents must be the same but for the vector, and each vector must be that of the text beside it.
"""

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import bulk, send, state
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

FIELDS = ["title", "text", "meta.note"]
IDS = st.sampled_from(["1", "2", "3"])
WORDS = st.sampled_from(["one", "two words", "three of them", "", " ", "\ud800"])
VALUES = st.one_of(WORDS, st.none(), st.integers(0, 3), st.lists(WORDS, max_size=2))
NOTES = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"note": VALUES, "other": st.integers(0, 2)}))
DOCUMENTS = st.fixed_dictionaries(
    {}, optional={"title": VALUES, "text": VALUES, "n": st.integers(0, 2), "meta": NOTES}
)
SCRIPTS = st.sampled_from([
    "ctx._source.title = 'by script'", "ctx._source.n = 7", "ctx.op = 'none'", "ctx.op = 'delete'",
    "ctx._source.remove('text')",
])  # fmt: skip
UPDATES = st.one_of(
    st.fixed_dictionaries({"doc": DOCUMENTS}, optional={"upsert": DOCUMENTS, "doc_as_upsert": st.booleans()}),
    st.fixed_dictionaries({"script": SCRIPTS}, optional={"upsert": DOCUMENTS}),
    st.fixed_dictionaries({"script": SCRIPTS, "upsert": DOCUMENTS, "scripted_upsert": st.booleans()}),
)
STALE_VECTOR = {"rerank": {"vector": "AAAA"}}
OPERATIONS = st.one_of(
    st.tuples(st.just("index"), IDS, DOCUMENTS),
    st.tuples(st.just("index"), IDS, DOCUMENTS.map(lambda document: document | STALE_VECTOR)),
    st.tuples(st.just("create"), IDS, DOCUMENTS),
    st.tuples(st.just("update"), IDS, UPDATES),
    st.tuples(st.just("update"), IDS, st.fixed_dictionaries({"doc": DOCUMENTS})),
    st.tuples(st.just("delete"), IDS, st.none()),
)
Operation = tuple[str, str, Any]
REQUESTS = st.lists(st.one_of(OPERATIONS, st.lists(OPERATIONS, max_size=6)), min_size=1, max_size=8)


def lines(operation: Operation) -> list[object]:
    action, document_id, source = operation
    return [{action: {"_id": document_id}}, *([] if source is None else [source])]


def sent(url: str, index: str, request: Operation | list[Operation]) -> Any:  # noqa: ANN401
    """Send one request and return what it says about its documents."""
    if isinstance(request, list):
        if not request:
            return None
        answer = json.loads(
            bulk(url, f"/{index}/_bulk", *(line for operation in request for line in lines(operation))).body
        )
        return answer if "error" in answer else outcomes(request, answer["items"])
    action, document_id, source = request
    method, api = {"index": ("PUT", "_doc"), "create": ("PUT", "_create"), "update": ("POST", "_update"),
                   "delete": ("DELETE", "_doc")}[action]  # fmt: skip
    answer = send(url, method, f"/{index}/{api}/{document_id}", b"" if source is None else source)
    return answer.status, outcome({action: json.loads(answer.body)})


def outcomes(request: list[Operation], items: list[Any]) -> list[Any]:
    """Return what became of each operation.

    An update that changes nothing of a document that an earlier line goes to as well counts as an update: it
    takes the vector away, which comes after the bulk.
    """
    repeated = [any(one[1] == earlier[1] for earlier in request[:at]) for at, one in enumerate(request)]
    return [
        tuple("updated" if part == "noop" and is_repeated else part for part in outcome(item))
        for item, is_repeated in zip(items, repeated, strict=True)
    ]


def outcome(item: dict[str, Any]) -> Any:  # noqa: ANN401
    [(action, said)] = item.items()
    error = said.get("error", {})
    cause = error.get("reason") if error.get("type") == "document_missing_exception" else error.get("type")
    return action, said.get("status"), said.get("result"), cause


@pytest.fixture
def pair(client: OpenSearch) -> Iterator[str]:
    """Yield the name of an index with settings and text; NAME-twin has the same mapping, and no settings."""
    name = f"random-{uuid.uuid4().hex}"
    yield name
    client.indices.delete(index=f"{name}*", ignore_unavailable=True)


def make(client: OpenSearch, name: str) -> None:
    body = index_body(Bundle.open(TINY_BUNDLE), source_fields=FIELDS)
    body["mappings"]["properties"] |= {
        "title": {"type": "text"}, "text": {"type": "text"}, "n": {"type": "integer"},
        "meta": {"properties": {"note": {"type": "text"}, "other": {"type": "integer"}}},
    }  # fmt: skip
    client.indices.delete(index=f"{name}*", ignore_unavailable=True)
    client.indices.create(index=name, body=body)
    del body["mappings"]["_meta"]
    client.indices.create(index=f"{name}-twin", body=body)


def test_any_sequence_of_writes(
    client: OpenSearch, opensearch_url: str, proxy_url: str, pair: str, is_long: bool
) -> None:
    @settings(
        max_examples=200 if is_long else 25, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(REQUESTS)
    def run(requests: list[Operation | list[Operation]]) -> None:
        make(client, pair)
        for request in requests:
            assert sent(proxy_url, pair, request) == sent(opensearch_url, f"{pair}-twin", request)
            client.indices.refresh(index=f"{pair}-twin")
            found = state(client, pair)
            twin = client.search(index=f"{pair}-twin", body={"size": 100})["hits"]["hits"]
            plain = {hit["_id"]: {k: v for k, v in hit["_source"].items() if k != "rerank"} for hit in twin}
            assert found.documents == plain
            assert (found.stale, found.missing) == (set(), set())

    run()


def test_writers_who_meet_on_the_same_documents(
    client: OpenSearch, proxy_url: str, pair: str, is_long: bool
) -> None:
    """Partial updates of different fields by two clients: none fails, none is lost, no vector is stale."""
    make(client, pair)
    bulk(proxy_url, f"/{pair}/_bulk", *({"index": {"_id": str(n)}} if i == 0 else {"title": "t", "text": "x"}
                                        for n in range(4) for i in range(2)))  # fmt: skip
    rounds = 60 if is_long else 12
    failed: list[object] = []

    def write(field: str) -> None:
        for number in range(rounds):
            updates = [
                line
                for n in range(4)
                for line in ({"update": {"_id": str(n)}}, {"doc": {field: f"{field} {number}"}})
            ]
            answer = bulk(proxy_url, f"/{pair}/_bulk", *updates)
            failed.extend(
                item for item in json.loads(answer.body)["items"] if item["update"]["status"] != 200
            )
            single = send(proxy_url, "POST", f"/{pair}/_update/0", {"doc": {field: f"{field} {number}!"}})
            if single.status != 200:
                failed.append(single)

    writers = [threading.Thread(target=write, args=(field,)) for field in ("title", "text")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failed == []
    found = state(client, pair)
    last = rounds - 1
    assert found.documents["1"] == {"title": f"title {last}", "text": f"text {last}"}
    assert found.documents["0"] == {"title": f"title {last}!", "text": f"text {last}!"}
    assert (found.stale, found.missing) == (set(), set())
