"""What must hold of an index after any writes through the proxy."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from indexer.document import Document
from indexer.enricher import hash_of
from opensearch.fields.stored_vectors import find_value
from opensearch.settings.validation import parse_settings
from reranker.bundle import Bundle
from reranker.stored_vector import unpack
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.paths import TINY_BUNDLE

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class State:
    """The documents of an index by id, without their vectors, and the ids by what their vectors are worth."""

    documents: dict[str, Any]
    current: set[str]
    stale: set[str]
    missing: set[str]


def state(client: OpenSearch, index: str) -> State:
    """Read an index and judge each vector by the text that stands beside it."""
    client.indices.refresh(index=index)
    [mapping] = client.indices.get_mapping(index=index).values()
    settings = parse_settings(mapping["mappings"]["_meta"]["rerank"])
    found = client.search(index=index, body={"size": 10_000, "version": True})["hits"]["hits"]
    groups: dict[str, set[str]] = {"current": set(), "stale": set(), "missing": set()}
    documents = {}
    for hit in found:
        value = find_value(hit["_source"], settings.field)
        document = Document(json.dumps(hit["_source"]))
        documents[hit["_id"]] = json.loads(document.without_vector(settings.field))
        if value is None:
            if document.text(settings.source_fields):
                groups["missing"].add(hit["_id"])
            continue
        vector = unpack(base64.b64decode(value, validate=True))
        is_current = vector.text_hash == hash_of(document, settings) and vector.model_tag == _tag()
        groups["current" if is_current else "stale"].add(hit["_id"])
    return State(documents, **groups)


def bulk(url: str, target: str, *lines: object) -> RawAnswer:
    """Send a bulk; what is no bytes is sent as a line of JSON."""
    body = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    return ask(url, "POST", target, body, NDJSON)


def send(url: str, method: str, target: str, body: object) -> RawAnswer:
    """Send one document or update."""
    return ask(url, method, target, body if isinstance(body, bytes) else json.dumps(body).encode(), JSON)


def written(answer: RawAnswer) -> str:
    """Return what the proxy says of the documents of a request."""
    return answer.headers.get("rerank-written", "")


def _tag() -> int:
    return Bundle.open(TINY_BUNDLE).model_tag
