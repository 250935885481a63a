"""Whether the model can read the texts of indices at all, sampled beside the searches that ask for it."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec
from cachetools import LRUCache

from indexer.language_sample import build_sample_body, count_sample
from plugin.errors import UpstreamError
from plugin.http.headers import Headers
from plugin.upstream.client import Upstream
from reranker.languages import ReadableScripts

FRESH_S = 600.0
"""A sample younger than this is used as it is; an older one is used while a new one is drawn."""

MAX_ENTRIES = 1_000

_log = logging.getLogger("twinrank.search")

Key = tuple[str, tuple[str, ...]]


@dataclass
class _CachedSample:
    is_unreadable: bool = False
    sampled_s: float = float("-inf")
    is_sampling: bool = False


class LanguageCache:
    """Samples as the caller whose search comes first, in the background: no search waits for it.

    Until a sample is there, and if none can be drawn, texts count as readable. With `waits` the first search
    waits, as commands do, which report the real figure.
    """

    def __init__(
        self,
        upstream: Upstream,
        scripts: ReadableScripts,
        clock: Callable[[], float] = time.monotonic,
        *,
        waits: bool = False,
    ) -> None:
        self._upstream = upstream
        self._waits = waits
        self._scripts = scripts
        self._clock = clock
        self._entries: LRUCache[Key, _CachedSample] = LRUCache(MAX_ENTRIES)
        self._lock = threading.Lock()
        self._sampler = ThreadPoolExecutor(1, thread_name_prefix="languages")

    def are_unreadable(self, indices: str, source_fields: tuple[str, ...], caller: Headers) -> bool:
        """Whether most sampled texts hold next to no letter that the model reads.

        `indices` is the raw index part of a path, `caller` the headers that say who asks.
        """
        key = indices, source_fields
        with self._lock:
            entry = self._entries.setdefault(key, _CachedSample())
            if not entry.is_sampling and self._clock() - entry.sampled_s >= FRESH_S:
                entry.is_sampling = True
                sampling = self._sampler.submit(self._refresh, key, entry, caller)
                if self._waits:
                    sampling.result()
            return entry.is_unreadable

    def _refresh(self, key: Key, entry: _CachedSample, caller: Headers) -> None:
        indices, source_fields = key
        headers = (*caller, ("Content-Type", "application/json"))
        target = f"/{indices}/_search" if indices else "/_search"
        body = msgspec.json.encode(build_sample_body(source_fields))
        try:
            response = self._upstream.exchange("POST", target, headers, body)
            found = msgspec.json.decode(response.body) if response.status == 200 else {"hits": {"hits": []}}
            entry.is_unreadable = count_sample(found, source_fields, self._scripts).is_unreadable
        except (UpstreamError, msgspec.DecodeError) as error:  # what was known before still holds
            _log.info("the texts of %s were not sampled: %s", indices, error)
        finally:
            entry.sampled_s = self._clock()
            entry.is_sampling = False
