"""Clients that search without a pause over kept connections, and count what fails."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Traffic:
    """Counts of answers: `Rerank-Status` of those with status 200, and whatever else came."""

    def __init__(self, urls: list[str], target: str, body: object) -> None:
        self._urls = [urlsplit(url).netloc for url in urls]
        self._target, self._body = target, json.dumps(body).encode()
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.num_refused = 0
        self._over = threading.Event()

    @property
    def num_answered(self) -> int:
        return self.answers.total()

    @property
    def answers_in_time(self) -> set[str]:
        """The statuses, without those of searches that a busy machine left in first-stage order."""
        late = ("skipped; reason=overloaded", "skipped; reason=deadline")
        return {answer for answer in self.answers if not answer.startswith(late)}

    def run(self) -> None:
        """Search until the end; where no connection is made, the next address is tried, as a client does."""
        connection, place = None, 0
        while not self._over.is_set():
            try:
                if connection is None:
                    connection = self._connected(self._urls[place % len(self._urls)])
                connection.request("POST", self._target, self._body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                response.read()
            except ConnectionRefusedError:
                self.num_refused += 1
                connection, place = None, place + 1
                time.sleep(0.02)
                continue
            except (OSError, http.client.HTTPException) as error:
                self.failures[repr(error)] += 1
                connection = self._closed(connection)
                continue
            if response.status == 200:
                self.answers[response.headers["Rerank-Status"]] += 1
            else:
                self.failures[str(response.status)] += 1
            if response.will_close:
                connection = self._closed(connection)
        self._closed(connection)

    def wait_for(self, number: int) -> None:
        """Wait until so many more are answered."""
        before, end = self.num_answered, time.monotonic() + 60
        while self.num_answered < before + number:
            assert time.monotonic() < end, (self.answers, self.failures)
            time.sleep(0.05)

    def stop(self) -> None:
        self._over.set()

    @staticmethod
    def _connected(address: str) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(address, timeout=60)
        connection.connect()
        return connection

    @staticmethod
    def _closed(connection: http.client.HTTPConnection | None) -> None:
        if connection is not None:
            connection.close()


@contextmanager
def steady_traffic(urls: list[str], target: str, body: object, *, clients: int = 3) -> Iterator[Traffic]:
    """Run clients for as long as the block lasts."""
    traffic = Traffic(urls, target, body)
    threads = [threading.Thread(target=traffic.run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.stop()
        for thread in threads:
            thread.join(60)
