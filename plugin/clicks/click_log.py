"""How often each document was shown and clicked, counted in a database on disk: the log may be large."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from plugin.clicks.ubi_records import RecordedClick, ShownPage

_SCHEMA = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE clicks (query_id TEXT, document TEXT, number INTEGER, is_shown INTEGER DEFAULT 0,
                     PRIMARY KEY (query_id, document)) WITHOUT ROWID;
CREATE TABLE clients (client TEXT, query INTEGER, searches INTEGER,
                      PRIMARY KEY (client, query)) WITHOUT ROWID;
CREATE TABLE queries (id INTEGER PRIMARY KEY, key TEXT UNIQUE, text TEXT);
CREATE TABLE shown (query INTEGER, document TEXT, position INTEGER, impressions INTEGER, clicks INTEGER,
                    PRIMARY KEY (query, document, position)) WITHOUT ROWID;
"""

_COUNT_CLICK = """INSERT INTO clicks (query_id, document, number) VALUES (?, ?, 1)
    ON CONFLICT DO UPDATE SET number = number + 1"""
_COUNT_SHOWN = """INSERT INTO shown VALUES (?, ?, ?, 1, ?)
    ON CONFLICT DO UPDATE SET impressions = impressions + 1, clicks = clicks + excluded.clicks"""
_COUNT_CLIENT = """INSERT INTO clients VALUES (?, ?, 1)
    ON CONFLICT DO UPDATE SET searches = searches + 1 RETURNING searches"""

_ALL = 0
"""In place of a query in `clients`: all of them."""

_TALLY = """
WITH rates AS (
    SELECT position, CAST(SUM(clicks) AS REAL) / SUM(impressions) AS rate FROM shown GROUP BY position
)
SELECT queries.text, document, SUM(clicks), SUM(impressions), SUM(impressions * rate)
FROM shown JOIN rates USING (position) JOIN queries ON queries.id = shown.query
GROUP BY query, document HAVING SUM(impressions) >= ? ORDER BY queries.key, document
"""


@dataclass(frozen=True)
class ClientCaps:
    """How much one client may count.

    At most `searches_a_query` of its searches of one query, and `searches` in all. Whatever it does, one
    search counts a document as clicked once.
    """

    searches_a_query: int = 5
    searches: int = 1_000


@dataclass(frozen=True)
class Tally:
    """How often a document was shown and clicked for a query.

    `expected` is how many clicks any document would have at the same places: its impressions, each weighted
    by the share of impressions at that place that were clicked.
    """

    text: str
    document: str
    clicks: int
    impressions: int
    expected: float


@dataclass
class LogCounts:
    """What was read, and what did not count."""

    clicks: int = 0
    unusable_clicks: int = 0
    pages: int = 0
    unusable_pages: int = 0
    capped_pages: int = 0
    capped_clients: int = 0
    clicks_without_impression: int = 0


class ClickLog:
    """Counts clicks, then the pages that they were made on.

    Args:
        database: an open and empty database.
        caps: how much one client may count.
    """

    def __init__(self, database: sqlite3.Connection, caps: ClientCaps) -> None:
        self._database = database
        self._caps = caps
        self.counts = LogCounts()
        database.executescript(_SCHEMA)

    @classmethod
    @contextmanager
    def open(cls, file: Path | None, caps: ClientCaps) -> Iterator[Self]:
        """Yield a log that is kept in a new file, or in memory."""
        with closing(sqlite3.connect(":memory:" if file is None else file)) as database:
            yield cls(database, caps)

    def add_clicks(self, clicks: Iterable[RecordedClick | None]) -> None:
        """Count clicks; None is one that cannot be used."""
        for click in clicks:
            self.counts.clicks += 1
            if click is None:
                self.counts.unusable_clicks += 1
            else:
                self._database.execute(_COUNT_CLICK, (click.query_id, click.document))

    def add_pages(self, pages: Iterable[ShownPage | None]) -> None:
        """Count pages, and the clicks on them; None is one that cannot be used. All clicks are there."""
        for page in pages:
            self.counts.pages += 1
            if page is None:
                self.counts.unusable_pages += 1
            else:
                self._add_page(page)
        row = self._database.execute("SELECT TOTAL(number) FROM clicks WHERE NOT is_shown").fetchone()
        self.counts.clicks_without_impression = int(row[0])
        most = "CASE query WHEN ? THEN ? ELSE ? END"
        capped = f"SELECT COUNT(DISTINCT client) FROM clients WHERE searches > {most}"  # noqa: S608  # no input
        limits = (_ALL, self._caps.searches, self._caps.searches_a_query)
        self.counts.capped_clients = self._database.execute(capped, limits).fetchone()[0]

    def read_tallies(self, min_impressions: int) -> Iterator[Tally]:
        """Yield every document of every query that was shown so often, query by query."""
        return (Tally(*row) for row in self._database.execute(_TALLY, (min_impressions,)))

    def read_documents(self) -> Iterator[str]:
        """Yield every document that was shown, each once."""
        return (row[0] for row in self._database.execute("SELECT DISTINCT document FROM shown"))

    def _add_page(self, page: ShownPage) -> None:
        clicked = self._take_clicks(page)
        query = self._find_query(page.text)
        if not self._count_client(page.client, query):
            self.counts.capped_pages += 1
            return
        rows = (
            (query, document, page.start + place, int(document in clicked))
            for place, document in enumerate(page.documents)
        )
        self._database.executemany(_COUNT_SHOWN, rows)

    def _take_clicks(self, page: ShownPage) -> set[str]:
        """Return the page's documents that were clicked; a click belongs to the first page that has it."""
        select = "SELECT document FROM clicks WHERE query_id = ? AND NOT is_shown"
        found = {row[0] for row in self._database.execute(select, (page.query_id,))}
        clicked = found & set(page.documents)
        update = "UPDATE clicks SET is_shown = 1 WHERE query_id = ? AND document = ?"
        self._database.executemany(update, ((page.query_id, document) for document in clicked))
        return clicked

    def _find_query(self, text: str) -> int:
        """Return the number of a query. Texts that differ in case alone are one."""
        key = text.casefold()
        self._database.execute("INSERT OR IGNORE INTO queries (key, text) VALUES (?, ?)", (key, text))
        row = self._database.execute("SELECT id FROM queries WHERE key = ?", (key,)).fetchone()
        return int(row[0])

    def _count_client(self, client: str | None, query: int) -> bool:
        """Count a client's search, and return whether it is within the caps."""
        if client is None:
            return True
        limits = ((_ALL, self._caps.searches), (query, self._caps.searches_a_query))
        return all(
            self._database.execute(_COUNT_CLIENT, (client, key)).fetchone()[0] <= limit
            for key, limit in limits
        )
