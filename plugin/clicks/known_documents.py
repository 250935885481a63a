"""Which documents an index has: what was clicked may be gone since, or be another index's."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from opensearch.client import OpenSearchClient, index_path
from plugin.clicks.click_judgements import ClickJudgement

BATCH = 1_000
"""So many documents are looked up in one request."""


@dataclass
class KnownDocuments:
    """Passes on the documents that are in an index, by their `_id`, and counts the others' judgements.

    Args:
        client: OpenSearch.
        index: the index's name.
        id_field: the field that records name a document by, such as a keyword; None: its `_id`.
    """

    client: OpenSearchClient
    index: str
    id_field: str | None = None
    num_kept: int = 0
    num_missing: int = 0

    def keep(self, judgements: Iterable[ClickJudgement]) -> Iterator[ClickJudgement]:
        """Yield the judgements of documents that are in the index, in order.

        Raises:
            RequestError: OpenSearch cannot be asked.
        """
        remaining = iter(judgements)
        while batch := list(islice(remaining, BATCH)):
            known = self._find({each.document for each in batch})
            kept = [replace(each, document=known[each.document]) for each in batch if each.document in known]
            self.num_kept += len(kept)
            self.num_missing += len(batch) - len(kept)
            yield from kept

    def find_ids(self, documents: Iterable[str]) -> Iterator[str]:
        """Yield the `_id` of each document that is in the index.

        Raises:
            RequestError: OpenSearch cannot be asked.
        """
        remaining = iter(documents)
        while batch := set(islice(remaining, BATCH)):
            yield from sorted(set(self._find(batch).values()))

    def _find(self, documents: set[str]) -> dict[str, str]:
        """Return each document's name in the records and its `_id`; the first one of several with a name."""
        names = sorted(documents)
        field = self.id_field
        search = {
            "query": {"ids": {"values": names}} if field is None else {"terms": {field: names}},
            "size": BATCH,
            "_source": False,
            "sort": ["_doc"],
            **({} if field is None else {"fields": [field]}),
        }
        answer = self.client.request("POST", index_path(self.index, "_search"), search)
        found: dict[str, str] = {}
        for hit in answer["hits"]["hits"]:
            values = [hit["_id"]] if field is None else hit.get("fields", {}).get(field, [])
            for value in values:
                found.setdefault(str(value), hit["_id"])
        return {name: id_ for name, id_ in found.items() if name in documents}
