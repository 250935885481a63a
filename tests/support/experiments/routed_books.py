"""A small index behind the real proxy, without OpenSearch: hits have real vectors, and records are kept."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from werkzeug.test import Client, TestResponse

from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.ubi.presence import PluginPresence
from plugin.ubi.record import RecordingOptions
from plugin.ubi.record_queue import RecordQueue
from plugin.ubi.record_target import IndexTarget
from plugin.ubi.recorder import UbiRecorder
from plugin.ubi.writer import RecordWriter
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from reranker.stored_vector import pack
from reranker.text import Chunking, text_hash
from tests.support.http.routed_upstream import Route, RoutedUpstream, SentRequest, routed
from tests.support.indices.toy_index import known_words

CHUNKING = Chunking()
NUM_BOOKS = 12
SEARCH = "/books/_search"


@dataclass(frozen=True)
class RoutedBooks:
    """The running index and the proxy in front of it; `words` is what is searched for."""

    upstream: RoutedUpstream
    client: Client
    model: Model
    queue: RecordQueue
    words: str

    def search(self, body: dict[str, Any] | None = None, ubi: object = None, **headers: str) -> TestResponse:
        """Search as a client that has UBI."""
        ext = {"ubi": {"query_id": "q", "client_id": "anna"} if ubi is None else ubi}
        whole = {"query": {"match": {"text": self.words}}, "size": 10, "ext": ext, **(body or {})}
        return self.client.post(SEARCH, json=whole, headers=headers, buffered=True)

    def records(self) -> list[dict[str, Any]]:
        """Take what was recorded since the last time."""
        return [msgspec.to_builtins(each.record) for each in self.queue.take(99)]

    def sent_bodies(self) -> list[dict[str, Any]]:
        """Return the bodies of the searches that OpenSearch was sent."""
        return [json.loads(each.body) for each in self.upstream.sent_to(SEARCH)]


@contextmanager
def routed_books(bundle: Bundle, experiment: dict[str, Any], **settings: Any) -> Iterator[RoutedBooks]:  # noqa: ANN401
    """Run it with a bundle, whose vectors the books have."""
    words = known_words(bundle.path)
    hits = list(make_hits(bundle, words))
    rerank = {"model": bundle.vectors_of, "source_fields": ["text"], "deadline_ms": 10_000, **settings}
    meta = {"_meta": {"rerank": rerank | {"experiment": experiment}}}
    index = {"books": {"mappings": meta, "settings": {"index": {"creation_date": "1"}}}}
    routes: dict[str, Route] = {
        "/books": lambda _: (200, index),
        SEARCH: lambda sent: (200, answer(hits, json.loads(sent.body))),
        "/_msearch": lambda sent: (200, answer_all(hits, sent)),
    }
    with routed(routes) as upstream, closing(Upstream(upstream.url)) as to_upstream:
        queue, presence = RecordQueue(), PluginPresence(to_upstream)
        writer = RecordWriter(IndexTarget(to_upstream), queue, presence)
        writer.start = lambda: None  # type: ignore[method-assign]  # tests look into the queue themselves
        recorder = UbiRecorder(queue, writer, presence, RecordingOptions())
        model = Model.load(bundle)
        client = Client(Proxy(to_upstream, model, recorder=recorder))
        yield RoutedBooks(upstream, client, model, queue, " ".join(words[:3]))


def make_hits(bundle: Bundle, words: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the hits, the best first."""
    texts = [" ".join(words[n * 5 : n * 5 + 6]) for n in range(NUM_BOOKS)]
    vectors = bundle.load_document_encoder(threads=1)(texts, CHUNKING)
    for n, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
        packed = pack(vector, text_hash=text_hash(text, CHUNKING), model_tag=bundle.model_tag)
        stored = base64.b64encode(packed).decode()
        yield {
            "_index": "books", "_id": str(n), "_score": 9.0 - n / 10,
            "_source": {"text": text, "rerank": {"vector": stored}},
            "fields": {"rerank.vector": [stored]},
        }  # fmt: skip


def answer(hits: Sequence[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
    """Return OpenSearch's answer to a search of all hits."""
    start = body.get("from", 0)
    shown = [dict(hit) for hit in hits[start : start + body.get("size", 10)]]
    for hit in shown:
        if "docvalue_fields" not in body:
            del hit["fields"]
        if body.get("stored_fields") == "_none_":
            del hit["_id"], hit["_source"]
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    return {"took": 1, "timed_out": False, "_shards": shards, "hits": {"hits": shown}, "status": 200}


def answer_all(hits: Sequence[dict[str, Any]], sent: SentRequest) -> dict[str, Any]:
    """Return OpenSearch's answer to several searches."""
    bodies = [json.loads(line) for line in sent.body.splitlines()[1::2]]
    return {"took": 1, "responses": [answer(hits, body) for body in bodies]}
