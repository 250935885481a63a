"""Recorded searches and clicks of simulated people, in indices as User Behavior Insights 1.3 maps them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch, helpers

from plugin.ubi.indices import EVENTS, QUERIES, read_mapping

PLACES = (0.9, 0.5, 0.3, 0.2, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05)
"""How likely somebody looks at a place."""


@dataclass(frozen=True)
class UbiLog:
    """Two indices of a log."""

    client: OpenSearch
    queries: str
    events: str

    def create(self) -> None:
        """Create the indices, of several shards."""
        for name, kind in ((self.queries, QUERIES), (self.events, EVENTS)):
            settings = {"number_of_shards": 2, "number_of_replicas": 0}
            body = {"mappings": read_mapping(kind), "settings": settings}
            self.client.indices.create(index=name, body=body)

    def delete(self) -> None:
        """Delete the indices."""
        self.client.indices.delete(index=f"{self.queries},{self.events}", ignore_unavailable=True)

    def write(self, actions: Iterator[dict[str, Any]]) -> None:
        """Write records, and make them searchable."""
        helpers.bulk(self.client, actions, chunk_size=5_000, refresh=True)

    def record_search(
        self,
        id_: str,
        text: str,
        documents: Sequence[str],
        client: str,
        **more: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Return the record of a search."""
        source = {
            "timestamp": "2026-11-01T12:00:00.000Z",
            "query_id": id_,
            "user_query": text,
            "client_id": client,
            "query_response_hit_ids": list(documents),
            **more,
        }
        return {"_index": self.queries, "_source": source}

    def record_click(self, id_: str, document: str, client: str) -> dict[str, Any]:
        """Return the record of a click."""
        source = {
            "timestamp": "2026-11-01T12:00:01.000Z",
            "query_id": id_,
            "action_name": "click",
            "client_id": client,
            "event_attributes": {"object": {"object_id": document}},
        }
        return {"_index": self.events, "_source": source}

    def simulate_people(
        self, text: str, documents: Sequence[str], likes: Mapping[str, float], number: int, seed: int
    ) -> Iterator[dict[str, Any]]:
        """Yield the records of people who each search once, see the documents shuffled, and click.

        `likes` is how likely a document is clicked once it is looked at.
        """
        chance = random.Random(seed)
        for n in range(number):
            id_, client = f"{text}-{n}", f"person {text}-{n}"
            page = chance.sample(list(documents), len(documents))
            yield self.record_search(id_, text, page, client)
            for place, document in enumerate(page):
                if chance.random() < PLACES[place] * likes.get(document, 0.05):
                    yield self.record_click(id_, document, client)
