"""Mixed traffic in a closed loop, so that it is the same work all the time.

Searches (distinct, repeated, passed through), several at once, writes, wrong requests, clients that leave in
the middle, counters asked for.
"""

import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from urllib.parse import urlsplit

from indexer.vector_cache import CACHE_BYTES
from plugin.encoding.query_encoder import CACHE_ENTRIES
from reranker.stored_vector import packed_size
from tests.benchmarks.queries import distinct_queries

INDEX = "soak"
CLIENTS = 3
BULK = 256
MORE = 1.3
"""So many times what the workers keep is asked and written at first: connections fall on them by chance."""
JSON = {"Content-Type": "application/json"}
_BY_PLACE: dict[str, object] = {"sort": ["_doc"]}


class Traffic:
    """Clients in a closed loop; `counts` says what they did, by kind and status."""

    def __init__(self, url: str, texts: Sequence[str]) -> None:
        self._host = urlsplit(url).netloc
        self._queries = itertools.cycle(distinct_queries(texts, 20_000))
        self._repeated = distinct_queries(texts, 20)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(seed,)) for seed in range(CLIENTS)]
        self.counts: dict[str, int] = {}

    def fill(self, num_workers: int, dim: int) -> None:
        """Ask and write so much that what each worker keeps of queries and documents is full, and more.

        Else what a full cache weighs would look like growth, for as long as it takes to fill.
        """
        num_queries = int(num_workers * MORE * CACHE_ENTRIES)
        num_documents = int(num_workers * MORE * CACHE_BYTES / packed_size(dim, 1))
        with ThreadPoolExecutor(CLIENTS) as clients:
            for _ in clients.map(self._filled_search, range(num_queries)):
                pass
            for _ in clients.map(self._filled_bulk, range(0, num_documents, BULK)):
                pass

    def _filled_search(self, number: int) -> None:
        self._alone("_search", json.dumps({"query": {"match": {"text": f"{next(self._queries)} {number}"}}}))

    def _filled_bulk(self, first: int) -> None:
        lines = "".join(
            f'{{"index":{{"_id":"soak-{number % 200}"}}}}\n'
            f"{json.dumps({'text': f'{next(self._queries)} {number}'})}\n"
            for number in range(first, first + BULK)
        )
        self._alone("_bulk", lines)

    def _alone(self, api: str, body: str) -> None:
        """Ask by a connection of its own, which any worker may take."""
        with closing(http.client.HTTPConnection(self._host, timeout=120)) as connection:
            _asked(connection, "POST", f"/{INDEX}/{api}", body)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for the end."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, seed: int) -> None:
        random = Random(seed)
        connection = http.client.HTTPConnection(self._host, timeout=60)
        while not self._stop.is_set():
            kind, ask = random.choice(self._kinds())
            try:
                status = ask(connection, random)
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            with self._lock:
                key = f"{kind} {status or 'broken off'}"
                self.counts[key] = self.counts.get(key, 0) + 1
        connection.close()

    def _kinds(self) -> list[tuple[str, Callable[[http.client.HTTPConnection, Random], int]]]:
        distinct = ("distinct", lambda connection, random: self._search(connection, next(self._queries)))
        return [
            distinct, distinct, distinct,
            ("repeated", lambda connection, random: self._search(connection, random.choice(self._repeated))),
            ("passed through", lambda connection, random: self._search(connection, "wait", _BY_PLACE)),
            ("several", self._several), ("bulk", self._bulk), ("document", self._document),
            ("wrong", self._wrong), ("left", self._left), ("counters", self._counters),
        ]  # fmt: skip

    def _search(
        self, connection: http.client.HTTPConnection, text: str, more: dict[str, object] | None = None
    ) -> int:
        body = {"query": {"match": {"text": text}}, **(more or {})}
        return _asked(connection, "POST", f"/{INDEX}/_search", json.dumps(body))

    def _several(self, connection: http.client.HTTPConnection, random: Random) -> int:
        texts = [next(self._queries), random.choice(self._repeated)]
        lines = "".join(f"{{}}\n{json.dumps({'query': {'match': {'text': text}}})}\n" for text in texts)
        return _asked(connection, "POST", f"/{INDEX}/_msearch", lines)

    def _bulk(self, connection: http.client.HTTPConnection, random: Random) -> int:
        lines = ""
        for _ in range(4):
            action = {"index": {"_id": f"soak-{random.randrange(200)}"}}
            lines += f"{json.dumps(action)}\n{json.dumps({'text': next(self._queries)})}\n"
        return _asked(connection, "POST", f"/{INDEX}/_bulk", lines)

    def _document(self, connection: http.client.HTTPConnection, random: Random) -> int:
        body = json.dumps({"doc": {"text": next(self._queries)}, "doc_as_upsert": True})
        return _asked(connection, "POST", f"/{INDEX}/_update/soak-{random.randrange(200)}", body)

    def _wrong(self, connection: http.client.HTTPConnection, random: Random) -> int:
        body = random.choice(('{"query":', '{"query":{"nothing":{}}}', '{"ext":{"rerank":{"x":1}}}', "\xff"))
        return _asked(connection, "POST", f"/{INDEX}/_search", body)

    def _left(self, connection: http.client.HTTPConnection, random: Random) -> int:
        host, _, port = self._host.partition(":")
        with socket.create_connection((host, int(port)), timeout=60) as left:
            left.sendall(
                f"POST /{INDEX}/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {random.choice((19, 400))}\r\n\r\n".encode()
                + b'{"query":{},"size":'[:19]
            )
        return 0

    def _counters(self, connection: http.client.HTTPConnection, random: Random) -> int:
        return _asked(connection, "GET", "/_plugins/_rerank/metrics", None)


def _asked(connection: http.client.HTTPConnection, method: str, path: str, body: str | None) -> int:
    connection.request(method, path, None if body is None else body.encode("latin-1", "replace"), JSON)
    answer = connection.getresponse()
    answer.read()
    return answer.status
