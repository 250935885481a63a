"""The indices that golden searches run on: sources spelt in every way, vectors in every place or missing."""

import base64
import json
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
from opensearchpy import OpenSearch

from reranker.bundle import Bundle
from reranker.stored_vector import pack
from reranker.text import text_hash
from tests.support.http.raw_http import ask
from tests.support.indices.toy_index import CHUNKING, index_body, known_words

WINDOW = 12
PREFIX = "golden-"
NDJSON = {"Content-Type": "application/x-ndjson"}
Key = tuple[str, str, str | None]
"""A hit's index, id and routing."""

_PROPERTIES: dict[str, Any] = {
    "text": {"type": "text", "term_vector": "with_positions_offsets"},
    "title": {"type": "text", "store": True},
    "n": {"type": "integer"},
    "tag": {"type": "keyword"},
    "day": {"type": "date"},
    "price": {"type": "double"},
    "parts": {"type": "nested", "properties": {"text": {"type": "text"}, "n": {"type": "integer"}}},
    "complete": {"type": "completion"},
    "@timestamp": {"type": "date"},
}


@dataclass(frozen=True)
class GoldenIndices:
    """Indices whose names begin with PREFIX, and what is known of their documents' vectors."""

    bundle: Bundle
    words: tuple[str, ...]
    cosines_of: dict[Key, np.ndarray]

    @property
    def query_text(self) -> str:
        """Text that every document of `golden-books` holds a word of."""
        return " ".join(self.words[:3])

    def crossing(self, text: str, keys: list[Key]) -> np.ndarray:
        """Return each hit's cosine with a query, NaN where it has no vector."""
        query = self.bundle.load_query_encoder()(text)
        found = [self.cosines_of.get(key) for key in keys]
        return np.array([np.nan if each is None else float((each @ query).max()) for each in found])


def make_golden_indices(client: OpenSearch, url: str, bundle: Bundle) -> GoldenIndices:
    """Make them all."""
    maker = _Maker(client, url, bundle)
    maker.books("golden-books", 30, aliases={
        "golden-shelf": {}, "golden-cheap": {"filter": {"range": {"n": {"lt": 14}}}},
        "golden-routed": {"routing": "r1"},
    })  # fmt: skip
    maker.books("golden-more", 8)
    maker.books("golden-fat", 15, padding=40_000)
    maker.books("golden-three", 25, shards=3, routings=("r1", "r2", None))
    maker.books(f"<{PREFIX}day-{{now/d}}>", 9)
    maker.books("golden", 10)
    maker.plain("golden-plain", 6)
    maker.stream("golden-stream", 12)
    client.indices.refresh(index="golden*")
    return GoldenIndices(bundle, tuple(maker.words), maker.vectors)


class _Maker:
    def __init__(self, client: OpenSearch, url: str, bundle: Bundle) -> None:
        self.client, self.url, self.bundle = client, url, bundle
        self.words = known_words(bundle.path)
        self.vectors: dict[Key, np.ndarray] = {}
        self._random = random.Random(11)
        self._encode = bundle.load_document_encoder(threads=1)

    def books(
        self,
        name: str,
        count: int,
        *,
        shards: int = 1,
        aliases: dict[str, Any] | None = None,
        padding: int = 0,
        routings: tuple[str | None, ...] = (None,),
    ) -> None:
        body = self._body(shards)
        whole = json.dumps({**body, "aliases": aliases or {}}).encode()
        ask(self.url, "PUT", f"/{quote(name, safe='')}", whole, {"Content-Type": "application/json"})
        concrete = self._concrete(name)
        self._write(concrete, count, padding, routings)

    def plain(self, name: str, count: int) -> None:
        """An index without settings, whose documents have a field of the same name, all their own."""
        self.client.indices.create(index=name, body={"settings": {"number_of_replicas": 0}})
        lines = [
            f'{{"index":{{"_id":"p{n}"}}}}\n'
            f'{{ "text":"{self.words[0]} plain", "x": 1.10, "rerank":{{"vector":"QUJD"}}}}\n'
            for n in range(count)
        ]
        ask(self.url, "POST", f"/{name}/_bulk", "".join(lines).encode(), NDJSON)

    def stream(self, name: str, count: int) -> None:
        """A data stream whose template changed: the older index has another window."""
        for window in (5, WINDOW):
            template = self._body(1)
            template["mappings"]["_meta"]["rerank"]["window_size"] = window
            body = {"index_patterns": [f"{name}*"], "data_stream": {}, "template": template, "priority": 500}
            self.client.indices.put_index_template(name=name, body=body)
            if window == 5:
                self.client.transport.perform_request("PUT", f"/_data_stream/{name}")
            else:
                self.client.indices.rollover(alias=name)
            self._write(name, count // 2, 0, (None,), op="create", first=100 * window)

    def _body(self, shards: int) -> dict[str, Any]:
        body = index_body(self.bundle, window_size=WINDOW)
        body["settings"]["number_of_shards"] = shards
        body["mappings"]["dynamic"] = False
        body["mappings"]["properties"] |= _PROPERTIES
        return body

    def _concrete(self, name: str) -> str:
        return str(next(iter(self.client.indices.get(index=name))))

    def _write(
        self,
        index: str,
        count: int,
        padding: int,
        routings: tuple[str | None, ...],
        op: str = "index",
        first: int = 0,
    ) -> None:
        texts = [" ".join([self.words[n % 3], *self._random.choices(self.words, k=9)]) for n in range(count)]
        vectors = self._encode(texts, CHUNKING)
        lines = []
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True)):
            routing, id_ = routings[n % len(routings)], str(first + n // len(routings))
            place = {"_id": id_} | ({"routing": routing} if routing else {})
            lines.append(json.dumps({op: place}))
            is_without = n % 11 == 7
            lines.append(self._source(n, text, padding, None if is_without else vector))
            if not is_without:
                self.vectors[index, id_, routing] = _kept(vector)
        answer = ask(self.url, "POST", f"/{index}/_bulk", ("\n".join(lines) + "\n").encode(), NDJSON)
        written = json.loads(answer.body)
        assert not written["errors"], answer.body[:2000]
        for item in written["items"]:  # a data stream's own names for its indices
            key = index, item[op]["_id"], None
            if item[op]["_index"] != index and key in self.vectors:
                self.vectors[item[op]["_index"], item[op]["_id"], None] = self.vectors.pop(key)

    def _source(self, n: int, text: str, padding: int, vector: np.ndarray | None) -> str:
        """Return a document as nobody but its writer spells it: OpenSearch keeps every byte."""
        first = self.words[n % 3]
        members = [
            '"price": 1.10', '"big":123456789012345678901234567890', '"note":"caf\\u00e9 é \\/ 🙂"',
            f'"text":"{text} golden"', f'"title" : "{first} title"', '"a":{"y":2,"x":1e3}', f'"n":{n}',
            f'"tag":"t{n % 4}"', f'"day":"2026-01-{n % 28 + 1:02}"', '"@timestamp":"2026-01-01T00:00:00Z"',
            f'"parts":[{{"text":"{first} part","n":1.50}},{{"text":"other {first}","n":2}}]',
            f'"complete":{{"input":["{first} {n}"],"weight":{n + 1}}}', f'"pad":"{"x" * padding}"',
        ]  # fmt: skip
        if vector is not None:
            packed = base64.b64encode(
                pack(vector, text_hash=text_hash(text, CHUNKING), model_tag=self.bundle.model_tag)
            ).decode()
            member = (
                f'"rerank":{{"vector":"{packed}"}}' if n % 5 else f'"rerank" : {{ "vector" : "{packed}" }}'
            )
            members.insert((len(members), 0, 6)[n % 3], member)
        return "{" + (", " if n % 2 else ",").join(members) + "}"


def _kept(vector: np.ndarray) -> np.ndarray:
    """Return a vector as int8 with one scale a chunk keeps it."""
    scale = np.abs(vector).max(axis=1, keepdims=True) / 127
    return np.asarray(np.rint(vector / scale) * scale, np.float64)
