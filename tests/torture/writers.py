"""Writers that do at random what clients do, and keep a model of what must stand in the index afterwards.

Each writer has ids of its own, so that its model knows every document's state; what stands under `rerank` is
ours and not part of it.

When a node is killed, OpenSearch (or the client) sends a write again to the copy that is the new primary, and
that copy may have the write already. So an answer of 409 may mean "done before", and a script may run twice:
writers look at what stands there before they call it a fault, and their script's second run changes nothing.
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opensearchpy import ConflictError, NotFoundError, OpenSearch, TransportError

from indexer.audit import Worth, judge_vector
from opensearch.changes.snapshot import SnapshotDocument
from opensearch.fields import stored_vectors
from opensearch.settings.table import RerankSettings
from tests.support.sync_run import BUNDLE
from tests.torture.sources import Source, bare, vector_of

IDS = 40
SETTINGS = RerankSettings(model=BUNDLE.name, source_fields=("text",))


class Writer:
    """One writer: a thread's work. `model` holds each id's source, without an entry where it is deleted."""

    def __init__(self, client: OpenSearch, index: str, number: int, words: list[str]) -> None:
        self._client = client
        self._index = index
        self._number = number
        self._words = words
        self._random = random.Random(number)
        self.model: dict[str, Source] = {}
        self.operations = 0
        self.failures: list[str] = []

    def run(self, stop: threading.Event) -> None:
        """Write until stopped."""
        actions = self.actions()
        while not stop.is_set():
            action = self._random.choice(actions)
            try:
                action()
            except Exception as error:  # noqa: BLE001  # a thread's edge: the test shows it
                self.failures.append(f"{action.__name__}: {error!r}")
                return
            self.operations += 1

    def actions(self) -> list[Callable[[], None]]:
        """Return what is done at random."""
        return [self._put, self._put, self._create, self._update, self._update, self._touch, self._upsert,
                self._script, self._delete, self._bulk, self._by_query]  # fmt: skip

    def _id(self) -> str:
        return f"{self._number}-{self._random.randrange(IDS)}"

    def _text(self) -> str:
        return " ".join(self._random.choices(self._words, k=self._random.randrange(8)))

    def _source(self) -> Source:
        return {
            "text": self._text(),
            "n": self._random.random(),
            "writer": self._number,
            "tags": ["a", None, "b"],
        }

    def _put(self) -> None:
        """Write a document whole, one in three with the vector of another text."""
        document_id, source = self._id(), self._source()
        worn = {"rerank": {"vector": vector_of(self._text())}} if self._random.random() < 1 / 3 else {}
        self._client.index(index=self._index, id=document_id, body=source | worn)
        self.model[document_id] = source

    def _create(self) -> None:
        document_id, source = self._id(), self._source()
        try:
            self._client.create(index=self._index, id=document_id, body=source)
        except ConflictError:
            if document_id in self.model:
                return
            assert self._stands(document_id) == source, "only what stands there is in the way"
        self.model[document_id] = source

    def _stands(self, document_id: str) -> Source | None:
        """Return the source that stands there, without what is ours, or None."""
        answer = self._client.get(index=self._index, id=document_id, params={"ignore": 404})
        return bare(answer["_source"]) if answer["found"] else None

    def _update(self) -> None:
        self._partly(self._id(), {"text": self._text()})

    def _touch(self) -> None:
        self._partly(self._id(), {"other": self._random.random()})

    def _partly(self, document_id: str, part: Source) -> None:
        try:
            self._client.update(index=self._index, id=document_id, body={"doc": part}, params=_RETRIES)
        except NotFoundError:
            assert document_id not in self.model, "a document was lost"
        else:
            self.model[document_id] = self.model[document_id] | part

    def _upsert(self) -> None:
        document_id, source = self._id(), self._source()
        body = {"doc": source, "doc_as_upsert": True}
        self._client.update(index=self._index, id=document_id, body=body, params=_RETRIES)
        self.model[document_id] = self.model.get(document_id, {}) | source

    def _script(self) -> None:
        document_id, source, more = self._id(), self._source(), self._text()
        source["text"] += more
        code = "if (!ctx._source.text.endsWith(params.more)) { ctx._source.text += params.more }"
        body = {"script": {"source": code, "params": {"more": more}}, "upsert": source}
        self._client.update(index=self._index, id=document_id, body=body, params=_RETRIES)
        before = self.model.get(document_id, source)
        text = before["text"]
        self.model[document_id] = before | {"text": text if text.endswith(more) else text + more}

    def _delete(self) -> None:
        document_id = self._id()
        self._client.delete(index=self._index, id=document_id, params={"ignore": 404})
        self.model.pop(document_id, None)

    def _bulk(self) -> None:
        """Write a bulk of index, update and delete lines with distinct ids."""
        ids = self._random.sample(range(IDS), 10)
        lines: list[Source] = []
        after = dict(self.model)
        for document_id, kind in zip((f"{self._number}-{n}" for n in ids), "iiiiuuuudd", strict=True):
            if kind == "i" or (kind == "u" and document_id not in after):
                after[document_id] = self._source()
                lines += [{"index": {"_id": document_id}}, after[document_id]]
            elif kind == "u":
                part = {"text": self._text()}
                after[document_id] = after[document_id] | part
                lines += [{"update": {"_id": document_id, "retry_on_conflict": 50}}, {"doc": part}]
            else:
                after.pop(document_id, None)
                lines += [{"delete": {"_id": document_id}}]
        answer = self._client.bulk(index=self._index, body=lines)
        bad = [
            each
            for item in answer["items"]
            for each in item.values()
            if each["status"] not in (200, 201, 404)
        ]
        assert not bad, bad
        self.model = after

    def _by_query(self) -> None:
        """Rewrite own documents; one that sync repairs at that moment may be left out, a conflict."""
        with suppress(TransportError):  # a copy on the node that was killed
            self._client.indices.refresh(index=self._index)
        more = f" {self._random.choice(self._words)}"
        script = {"source": "ctx._source.text += params.more", "params": {"more": more}}
        body = {"query": {"term": {"writer": self._number}}, "script": script}
        with suppress(TransportError):  # the node that held its scroll was killed: a part may be done
            self._client.update_by_query(index=self._index, body=body, params={"conflicts": "proceed"})
        self._seen_as({key: source | {"text": source["text"] + more} for key, source in self.model.items()})

    def _seen_as(self, after: dict[str, Source]) -> None:
        """Note for each document whether it stands as before or as `after`; anything else is a fault."""
        found = self._client.mget(index=self._index, body={"ids": list(after)})["docs"] if after else []
        for doc in found:
            before = self.model.get(doc["_id"])
            stands = bare(doc["_source"]) if doc["found"] else None
            assert stands in (before, after[doc["_id"]]), (stands, before)
            if stands is not None:
                self.model[doc["_id"]] = stands


class ThroughProxy(Writer):
    """Writes only through the proxy, and looks at once at what it wrote: no vector may be of another text.

    Scripts are left out: what they wrote is looked at only after them. `looks_at` is OpenSearch itself.
    """

    def __init__(
        self, client: OpenSearch, index: str, number: int, words: list[str], looks_at: OpenSearch
    ) -> None:
        super().__init__(client, index, number, words)
        self._looks_at = looks_at

    def actions(self) -> list[Callable[[], None]]:
        """Return what is done at random."""
        plain = [self._put, self._create, self._update, self._update, self._touch, self._upsert, self._delete]
        return [*plain, self._bulk, self._look, self._look]

    def _look(self) -> None:
        ids = [f"{self._number}-{number}" for number in range(IDS)]
        for doc in self._looks_at.mget(index=self._index, body={"ids": ids})["docs"]:
            if doc["found"]:
                value = stored_vectors.find_value(doc["_source"], "rerank.vector")
                stored = SnapshotDocument(doc["_id"], doc["_source"], [] if value is None else [value])
                worth = judge_vector(stored, SETTINGS, BUNDLE.model_tag)
                assert worth in (Worth.CURRENT, Worth.ABSENT, Worth.WITHOUT_TEXT), (worth, doc)


class Searcher(Writer):
    """Writes nothing: searches through the proxy, with `verify_at_search`, and looks at what ranked each hit.

    `scored` counts hits that their vectors have ranked, `stale` the vectors of other texts that have not.
    """

    scored = stale = 0

    def actions(self) -> list[Callable[[], None]]:
        """Return what is done at random."""
        return [self._search]

    def _search(self) -> None:
        body = {
            "query": {"match": {"text": self._text() or self._words[0]}},
            "size": 100,
            "docvalue_fields": ["rerank.vector"],
            "ext": {"rerank": {"explain": True}},
        }
        try:
            hits = self._client.search(index=self._index, body=body)["hits"]["hits"]
        except TransportError:  # a shard is on its way from the node that was killed
            return
        for hit in hits:
            vectors = hit.get("fields", {}).get("rerank.vector", [])
            stored = SnapshotDocument(hit["_id"], hit["_source"], vectors)
            worth = judge_vector(stored, SETTINGS, BUNDLE.model_tag)
            if hit.get("_rerank", {}).get("crossing") is not None:
                assert worth is Worth.CURRENT, (worth, hit)
                self.scored += 1
            self.stale += worth is Worth.STALE


class Reindexer(Writer):
    """Copies documents with vectors of other texts from another index, over its own."""

    def __init__(self, client: OpenSearch, index: str, number: int, words: list[str], source: str) -> None:
        super().__init__(client, index, number, words)
        self._from = source

    def actions(self) -> list[Callable[[], None]]:
        """Return what is done at random."""
        return [self._reindex, self._update, self._delete]

    def _reindex(self) -> None:
        worn = {"rerank": {"vector": "AAAA"}}
        copied = {f"{self._number}-{n}": self._source() for n in self._random.sample(range(IDS), 8)}
        lines = [line for key, source in copied.items() for line in ({"index": {"_id": key}}, source | worn)]
        self._client.bulk(index=self._from, body=lines, refresh=True)
        query = {"ids": {"values": list(copied)}}
        body = {"source": {"index": self._from, "query": query}, "dest": {"index": self._index}}
        with suppress(TransportError):  # as above
            self._client.reindex(body=body)
        self._seen_as(copied)


class VersionedWriter(Writer):
    """Gives version numbers of its own; none of them may be refused for a reason that is ours."""

    def __init__(self, client: OpenSearch, index: str, number: int, words: list[str]) -> None:
        super().__init__(client, index, number, words)
        self._version = 0

    def actions(self) -> list[Callable[[], None]]:
        """Return what is done at random."""
        return [self._put_version, self._put_version, self._delete_version]

    def _next(self) -> dict[str, Any]:
        self._version += 1
        return {"version": str(self._version), "version_type": "external"}

    def _put_version(self) -> None:
        document_id, source = self._id(), self._source()
        try:
            self._client.index(index=self._index, id=document_id, body=source, params=self._next())
        except ConflictError:
            if self._stands(document_id) != source:
                raise
        self.model[document_id] = source

    def _delete_version(self) -> None:
        document_id = self._id()
        try:
            self._client.delete(index=self._index, id=document_id, params={**self._next(), "ignore": 404})
        except ConflictError:
            if self._stands(document_id) is not None:
                raise
        self.model.pop(document_id, None)


_RETRIES = {"retry_on_conflict": "50"}
