"""What an earlier version left behind: indices with their vectors, and its proxy's responses to searches."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from opensearchpy import OpenSearch, helpers

INDICES_FILE, ANSWERS_FILE = "indices.json.gz", "answers.json.gz"


class Document(msgspec.Struct, frozen=True):
    """A document as its version stored it, vector and all."""

    id: str
    source: dict[str, Any]


class RecordedIndex(msgspec.Struct, frozen=True):
    """An index: shards, mapping with `_meta.rerank`, aliases, and documents in the order of their shards."""

    name: str
    shards: int
    mapping: dict[str, Any]
    aliases: list[str]
    documents: list[Document]

    def restore(self, client: OpenSearch, name: str | None = None) -> str:
        """Create the index with its documents, under its own name or another, and return the name.

        Each shard gets one segment, as the recording had it.
        """
        name = name or self.name
        body = {
            "settings": {"number_of_shards": self.shards, "number_of_replicas": 0, "refresh_interval": -1},
            "mappings": self.mapping,
            "aliases": {alias: {} for alias in self.aliases if name == self.name},
        }
        client.indices.create(index=name, body=body)
        actions = ({"_index": name, "_id": each.id, "_source": each.source} for each in self.documents)
        helpers.bulk(client, actions, chunk_size=len(self.documents), max_chunk_bytes=50_000_000)
        client.indices.refresh(index=name)
        return name


class Answer(msgspec.Struct, frozen=True):
    """A response of the recorded proxy, or one item of an `_msearch`: status, header, hits, total."""

    status: int
    rerank_status: str
    ids: list[str]
    scores: list[float | None]
    total: int | None


class Exchange(msgspec.Struct, frozen=True):
    """A request and the response to it; `fused` are the values that decided the order, by id, if known."""

    name: str
    method: str
    target: str
    body: Any
    answer: Answer
    fused: dict[str, float]


@dataclass(frozen=True)
class Recording:
    """Everything that was recorded.

    Attributes:
        indices: the indices.
        exchanges: requests with their responses, by the bundle that served them.
        reports: what `settings`, `status` and `verify` said of each index, by command and index.
    """

    indices: list[RecordedIndex]
    exchanges: dict[str, list[Exchange]]
    reports: dict[str, dict[str, Any]]

    def write(self, folder: Path) -> None:
        """Write both files, the same bytes for the same content."""
        _write(folder / INDICES_FILE, msgspec.to_builtins(self.indices))
        _write(folder / ANSWERS_FILE, [msgspec.to_builtins(self.exchanges), self.reports])

    @classmethod
    def read(cls, folder: Path) -> "Recording":
        """Read what `write` wrote."""
        indices = gzip.decompress((folder / INDICES_FILE).read_bytes())
        exchanges = gzip.decompress((folder / ANSWERS_FILE).read_bytes())
        answers = tuple[dict[str, list[Exchange]], dict[str, dict[str, Any]]]
        return cls(
            msgspec.json.decode(indices, type=list[RecordedIndex]),
            *msgspec.json.decode(exchanges, type=answers),
        )


def encode_body(body: object) -> bytes | None:
    """Return a request's body: JSON lines for a list, nothing for None, JSON for all else."""
    if body is None:
        return None
    if isinstance(body, list):
        return b"".join(json.dumps(each).encode() + b"\n" for each in body)
    return json.dumps(body).encode()


def read_answer(status: int, rerank_status: str, content: Mapping[str, Any]) -> Answer:
    """Return what is compared of a response; the items of an `_msearch` are one list of hits."""
    pages = [page.get("hits", {}) for page in content.get("responses", [content])]
    hits = [hit for page in pages for hit in page.get("hits", [])]
    total = pages[0].get("total", {}).get("value")
    return Answer(status, rerank_status, [hit["_id"] for hit in hits], [hit["_score"] for hit in hits], total)


def _write(file: Path, content: object) -> None:
    data = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    file.write_bytes(gzip.compress(data, 9, mtime=0))
