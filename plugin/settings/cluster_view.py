"""All indices' settings at once, as a poller read them: names to records, without asking OpenSearch."""

from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec
from cachetools import LRUCache

from opensearch.settings.layers import Defaults
from opensearch.settings.search_pipeline import SearchPipeline
from opensearch.settings.target import IndexRecord, Target, resolve_records

MAX_RESOLVED = 10_000
"""Index expressions whose settings are kept."""


class ClusterRecords(msgspec.Struct, frozen=True):
    """What the poller shares: the state that it was read after, and what was read.

    `indices` has every concrete index's record. `pipelines` has every search pipeline, and is None if they
    may not be read.
    """

    state: str
    indices: dict[str, IndexRecord]
    pipelines: dict[str, SearchPipeline] | None = None


class ClusterView:
    """One reading of the cluster. Immutable but for its cache: a newer reading is another view.

    `pipelines` has every search pipeline, and is None if they could not be read.
    """

    def __init__(self, records: ClusterRecords, defaults: Defaults) -> None:
        self.state = records.state
        self.pipelines: Mapping[str, SearchPipeline] | None = records.pipelines
        self._defaults = defaults
        self._named: dict[str, dict[str, IndexRecord]] = defaultdict(dict)
        for name, record in records.indices.items():
            for each in (name, *record.groups):
                self._named[each][name] = record
        self._resolved: LRUCache[str, Target] = LRUCache(MAX_RESOLVED)

    def find_target(self, index_path: str) -> Target | None:
        """Return the settings of a list of index, alias and data stream names (raw, no slash).

        None if a part is anything else, a pattern or an unknown name: OpenSearch must be asked about it as
        the caller.
        """
        try:
            return self._resolved[index_path]
        except KeyError:
            pass
        records = self._find_records(index_path)
        if records is None:
            return None
        found = resolve_records(records, self._defaults)
        self._resolved[index_path] = found
        return found

    def _find_records(self, index_path: str) -> dict[str, IndexRecord] | None:
        found: dict[str, IndexRecord] = {}
        for name in unquote(index_path).split(","):
            if name not in self._named:
                return None
            found |= self._named[name]
        return found
