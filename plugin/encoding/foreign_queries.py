"""Queries in other languages than the bundle's, on an index of several: identified once each, and kept."""

import logging
import threading
from collections.abc import Sequence

from cachetools import LRUCache

from reranker.language_identifier import FOREIGN_PROBABILITY, find_foreign_probability

MAX_ENTRIES = 10_000

_log = logging.getLogger("twinrank.search")


class ForeignQueries:
    """Identifies queries. The tables are loaded in the background, and only if a query asks for them.

    With `waits` the first query waits for them, for tests and commands.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self._waits = waits
        self._known: LRUCache[tuple[str, tuple[str, ...]], bool] = LRUCache(MAX_ENTRIES)
        self._lock = threading.Lock()
        self._loader: threading.Thread | None = None
        self._is_loaded = False

    def are_foreign(self, text: str, languages: Sequence[str]) -> bool:
        """Whether a query in Latin script is in none of these languages; not while the tables are loaded."""
        if not self._is_ready():
            return False
        key = text, tuple(languages)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            known = find_foreign_probability(text, languages) >= FOREIGN_PROBABILITY
            with self._lock:
                self._known[key] = known
        return known

    def _is_ready(self) -> bool:
        if self._is_loaded:
            return True
        with self._lock:
            if self._loader is None:
                self._loader = threading.Thread(target=self._load, name="languages", daemon=True)
                self._loader.start()
        if self._waits:
            self._loader.join()
        return self._is_loaded

    def _load(self) -> None:
        find_foreign_probability("how to read a file", ("en",))
        self._is_loaded = True
        _log.info("the tables of languages are loaded: queries on indices of several are identified")
