"""A bench on which settings are tried by effect: small real indices, searched through the proxy."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
from opensearchpy import OpenSearch, helpers

from opensearch.fields.stored_vectors import find_value
from reranker.stored_vector import StoredVector, unpack
from tests.support.http.raw_http import RawAnswer, ask, search
from tests.support.indices.toy_index import ToyIndex, index_body
from tests.support.searches.expected_scores import Expected

NUM_DOCUMENTS = 30
JSON_BODY = {"Content-Type": "application/json"}


@dataclass
class Bench:
    """What effects are seen on; every index that is made here is deleted by `clear`."""

    client: OpenSearch
    url: str
    proxy_url: str
    toy: ToyIndex
    names: list[str] = field(default_factory=list)

    @cached_property
    def documents(self) -> list[dict[str, Any]]:
        """Sources of the first documents of the toy index, with their vectors."""
        return [hit["_source"] for hit in self.toy.first_stage(NUM_DOCUMENTS)]

    @cached_property
    def plain(self) -> str:
        """An index with every setting at its default."""
        return self.index()

    def empty(self, *fields: str, **settings: object) -> str:
        """Make an index without documents; `fields` hold vectors beside the usual one."""
        name = f"effect-{len(self.names)}"
        body = index_body(self.toy.bundle, **settings)
        for each in fields:
            body["mappings"]["properties"] |= _mapped(each.split("."))
        self.client.indices.create(index=name, body=body)
        self.names.append(name)
        return name

    def index(self, **settings: object) -> str:
        """Make an index with the documents and their vectors."""
        return self.filled(self.empty(**settings), self.documents)

    def filled(self, name: str, documents: list[dict[str, Any]]) -> str:
        """Write documents straight to OpenSearch, as they are."""
        actions = ({"_index": name, "_id": str(n), "_source": each} for n, each in enumerate(documents))
        helpers.bulk(self.client, actions, refresh=True)
        return name

    def written(self, name: str, document: Mapping[str, Any], at: str = "rerank.vector") -> StoredVector:
        """Write one document through the proxy, and return the vector that OpenSearch has of it."""
        put = ask(
            self.proxy_url, "PUT", f"/{name}/_doc/1?refresh=true", json.dumps(document).encode(), JSON_BODY
        )
        assert put.status == 201, put.body
        source = self.client.get(index=name, id="1")["_source"]
        return unpack(base64.b64decode(str(find_value(source, at))))

    def answer(self, name: str, rerank: object = None, parameters: str = "", **body: Any) -> RawAnswer:  # noqa: ANN401
        """Search through the proxy for everything that matches."""
        whole = {"query": self.toy.query, "size": NUM_DOCUMENTS, **body}
        return search(
            self.proxy_url, name, whole if rerank is None else whole | {"ext": {"rerank": rerank}}, parameters
        )

    def status(self, name: str, rerank: object = None, **body: Any) -> str:  # noqa: ANN401
        """Return what became of such a search."""
        return self.answer(name, rerank, **body).rerank_status

    def scored(self, name: str, rerank: object = None, **body: Any) -> list[tuple[str, float]]:  # noqa: ANN401
        """Return ids and scores of a search that is reranked."""
        answer = self.answer(name, rerank, **body)
        assert answer.rerank_status.startswith("applied"), (answer.rerank_status, answer.body[:500])
        return [(hit["_id"], hit["_score"]) for hit in json.loads(answer.body)["hits"]["hits"]]

    def order(self, name: str, rerank: object = None, **body: Any) -> list[str]:  # noqa: ANN401
        """Return the ids of such a search."""
        return [id_ for id_, _ in self.scored(name, rerank, **body)]

    def first_stage(self, name: str) -> list[dict[str, Any]]:
        """Return OpenSearch's own hits of the same search."""
        found = self.client.search(index=name, body={"query": self.toy.query, "size": NUM_DOCUMENTS})
        hits: list[dict[str, Any]] = found["hits"]["hits"]
        return hits

    def expected(self, name: str, weight: float | None = None) -> Expected:
        """Return what the formulas say of that search."""
        return Expected(self.toy, self.first_stage(name), weight)

    def clear(self) -> None:
        """Delete all indices."""
        for name in self.names:
            self.client.indices.delete(index=name, ignore_unavailable=True)


def best_first(fused: Mapping[str, float]) -> list[str]:
    """Return ids in the order of their values."""
    return sorted(fused, key=lambda each: -fused[each])


def _mapped(path: list[str]) -> dict[str, Any]:
    first, *rest = path
    return {first: {"properties": _mapped(rest)} if rest else {"type": "binary", "doc_values": True}}


def names_in(table: msgspec.Struct, prefix: str = "") -> Iterator[str]:
    """Yield the dotted name of everything that a table may say, from a table at its defaults."""
    for info in msgspec.structs.fields(table):
        value = getattr(table, info.name)
        if isinstance(value, msgspec.Struct):
            yield from names_in(value, f"{prefix}{info.name}.")
        else:
            yield prefix + info.name
