"""Clients that search and write without mercy, and know what each answer must be."""

import contextlib
import http.client
import itertools
import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.upstream import BAD_JSON, HARMLESS, FaultyUpstream

TRIES = 60
"""So often a write is repeated until an answer says that it was done."""

Source = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A whole answer, or a status of 0 where the connection broke."""

    status: int
    body: bytes
    rerank_status: str


class Connection:
    """A connection to the proxy that is kept, and made anew when it broke."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)

    def ask(self, method: str, target: str, body: bytes, opaque_id: str) -> Answer:
        """Send one request once."""
        headers = {"Content-Type": "application/json", "X-Opaque-Id": opaque_id}
        try:
            self._connection.request(method, target, body, headers)
            found = self._connection.getresponse()
            return Answer(found.status, found.read(), found.getheader("Rerank-Status") or "")
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return Answer(0, b"", "")

    def close(self) -> None:
        """Close it."""
        self._connection.close()


@dataclass(frozen=True)
class Query:
    """A search, and the ids of its page in both orders."""

    body: bytes
    first_stage: list[str]
    reranked: list[str]


class Searcher:
    """Searches, and judges each answer by what its requests met behind the proxy."""

    def __init__(
        self, url: str, index: str, queries: list[Query], upstream: FaultyUpstream, number: int
    ) -> None:
        self._connection = Connection(url)
        self._index, self._queries, self._upstream = index, queries, upstream
        self._random = random.Random(number)
        self._ids = (f"search-{number}-{n}" for n in itertools.count())
        self.statuses: Counter[str] = Counter()
        self.num_broken = self.num_failed = self.num_searches = 0
        self.wrong: list[str] = []
        self.breaks_allowed = False
        """Whether the proxy's own process is being killed or starved: then a broken search is sent again."""

    def search_until_applied(self, seconds: float) -> None:
        """Search now and then until a page is reranked again, as it must be once the faults are over."""
        deadline = time.monotonic() + seconds
        while not self.search().startswith("applied"):
            if time.monotonic() > deadline:
                self.wrong.append(f"not reranked {seconds:.0f} s after the faults: {self.statuses}")
                return
            time.sleep(0.25)

    def search(self) -> str:
        """Send one search, again where its connection broke and may: -> its Rerank-Status."""
        query, opaque_id = self._random.choice(self._queries), next(self._ids)
        self.num_searches += 1
        for _ in range(TRIES if self.breaks_allowed else 1):
            answer = self._connection.ask("POST", f"/{self._index}/_search", query.body, opaque_id)
            if answer.status:
                break
            self.num_broken += 1
        if answer.status:
            self.statuses[answer.rerank_status.partition("; window")[0]] += 1
        self.num_failed += answer.status != 200
        fault = self._fault_of(query, answer, opaque_id)
        if fault:
            met = [
                (asked.fault, asked.target[:40], asked.body == query.body)
                for asked in self._upstream.asked[opaque_id]
            ]
            self.wrong.append(f"{fault}: {answer.status} {answer.rerank_status} {answer.body[:300]!r} {met}")
        self._upstream.asked.pop(opaque_id, None)
        return answer.rerank_status

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _fault_of(self, query: Query, answer: Answer, opaque_id: str) -> str:
        """Return what is wrong with an answer, empty where nothing is.

        An answer may be no page only where OpenSearch alone would have given none: the client's own bytes met
        a fault on their way, or a request of ours was refused with 429, which is not repeated.
        """
        met = self._upstream.asked[opaque_id]
        own = [asked.fault for asked in met if asked.body == query.body]
        own_failed = bool(own) and own[-1] not in HARMLESS
        was_refused = answer.status == 429 and any(asked.fault == "429" for asked in met)
        if answer.status != 200:
            return "" if own_failed or was_refused else "failed, where OpenSearch alone would have answered"
        if not answer.rerank_status:
            return "no Rerank-Status"
        if answer.body == BAD_JSON:
            return "" if own_failed else "passed a broken answer on"
        ids = [hit["_id"] for hit in json.loads(answer.body)["hits"]["hits"]]
        is_applied = answer.rerank_status.startswith("applied")
        expected = query.reranked if is_applied else query.first_stage
        return "" if ids == expected else f"wrong page {ids}, expected {expected}"


class Writer:
    """Writes documents with ids of its own, each until an answer says that it was done.

    Every write may be repeated without harm, so `model` is what must stand in the index afterwards.
    """

    def __init__(self, url: str, index: str, number: int, words: list[str]) -> None:
        self._connection = Connection(url)
        self._index, self._number, self._words = index, number, words
        self._random = random.Random(number)
        self.model: dict[str, Source] = {}
        self.num_writes = self.num_repeated = 0
        self.wrong: list[str] = []

    def write(self) -> None:
        """Do one write of a kind chosen at random."""
        self._random.choice([self._put, self._put, self._update, self._update, self._delete, self._bulk])()
        self.num_writes += 1

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _put(self) -> None:
        document_id, source = self._id(), self._source()
        self._until_done("PUT", f"/{self._index}/_doc/{document_id}", json.dumps(source).encode())
        self.model[document_id] = source

    def _update(self) -> None:
        if not self.model:
            return self._put()
        document_id = self._random.choice(sorted(self.model))
        part = {"text": self._text()} if self._random.random() < 0.7 else {"other": self._random.random()}
        self._until_done("POST", f"/{self._index}/_update/{document_id}", json.dumps({"doc": part}).encode())
        self.model[document_id] = self.model[document_id] | part
        return None

    def _delete(self) -> None:
        document_id = self._id()
        self._until_done("DELETE", f"/{self._index}/_doc/{document_id}", b"", allowed=404)
        self.model.pop(document_id, None)

    def _bulk(self) -> None:
        ids = [f"{self._number}-{n}" for n in self._random.sample(range(30), 5)]
        sources = {document_id: self._source() for document_id in ids}
        lines = [line for key, source in sources.items() for line in ({"index": {"_id": key}}, source)]
        body = "".join(json.dumps(line) + "\n" for line in lines).encode()
        self._until_done("POST", f"/{self._index}/_bulk", body)
        self.model |= sources

    def _until_done(self, method: str, target: str, body: bytes, allowed: int = 200) -> None:
        for attempt in range(TRIES):
            self.num_repeated += attempt > 0
            answer = self._connection.ask(method, target, body, "")
            if (answer.status in (200, 201) or answer.status == allowed) and _says_done(answer.body):
                return
            if answer.status in (400, 404):
                break
        self.wrong.append(f"{method} {target}: {answer.status} {answer.body[:300]!r}")

    def _id(self) -> str:
        return f"{self._number}-{self._random.randrange(30)}"

    def _text(self) -> str:
        return " ".join(self._random.choices(self._words, k=6))

    def _source(self) -> Source:
        return {"text": self._text(), "n": self._random.random(), "tags": ["a", None]}


def _says_done(body: bytes) -> bool:
    """Whether an answer is JSON that tells the result of a write, of each one in a bulk."""
    with contextlib.suppress(ValueError):
        said = json.loads(body)
        items = said.get("items")
        return "result" in said if items is None else not said["errors"] and bool(items)
    return False
