"""Which documents an index has: what was clicked may be gone since, or be another index's."""

from collections.abc import Iterable, Iterator
from itertools import islice

from opensearch.client import OpenSearchClient, index_path
from plugin.clicks.click_judgements import ClickJudgement

BATCH = 1_000
"""So many judgements are looked up in one request."""


class KnownDocuments:
    """Passes on the judgements of documents that are in an index, and counts the others.

    Args:
        client: OpenSearch.
        index: the index's name.
    """

    def __init__(self, client: OpenSearchClient, index: str) -> None:
        self._client = client
        self._index = index
        self.num_kept = 0
        self.num_missing = 0

    def keep(self, judgements: Iterable[ClickJudgement]) -> Iterator[ClickJudgement]:
        """Yield the judgements of documents that are in the index, in order.

        Raises:
            RequestError: OpenSearch cannot be asked.
        """
        remaining = iter(judgements)
        while batch := list(islice(remaining, BATCH)):
            known = self._find({each.document for each in batch})
            kept = [each for each in batch if each.document in known]
            self.num_kept += len(kept)
            self.num_missing += len(batch) - len(kept)
            yield from kept

    def _find(self, documents: set[str]) -> set[str]:
        search = {"query": {"ids": {"values": sorted(documents)}}, "size": BATCH, "_source": False}
        answer = self._client.request("POST", index_path(self._index, "_search"), search)
        return {hit["_id"] for hit in answer["hits"]["hits"]}
