"""A collection searched on the real path, directly and through the proxy, and measured."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plugin.compare.retry import search_until_reranked
from plugin.evaluation.collection import Collection
from plugin.evaluation.measures import Difference, Measures, compare, measure
from plugin.upstream.search_client import SearchClient

TRIES = 20
"""How often a query is sent at most, if a busy machine leaves it unranked."""

WINDOW = 100
"""How many hits are requested and compared."""


@dataclass(frozen=True)
class Evaluation:
    """One collection's measures in OpenSearch's own order and in the reranked one.

    `statuses` counts the first word of `Rerank-Status`, with the reason of a skipped search. It shows if the
    proxy reranked nothing.
    """

    collection: Collection
    relevant: int
    first_stage: Measures
    reranked: Measures
    ndcg: Difference
    rr: Difference
    statuses: dict[str, int]

    @property
    def num_skipped(self) -> int:
        """How many searches were not reranked: they count with OpenSearch's own order on both sides."""
        return sum(number for status, number in self.statuses.items() if not status.startswith("applied"))

    @property
    def has_negatives(self) -> bool:
        """Whether any document was judged not relevant; otherwise bad hits cannot be counted."""
        return any(
            grade < self.relevant for grades in self.collection.qrels.values() for grade in grades.values()
        )


def evaluate(
    collection: Collection,
    straight: SearchClient,
    proxied: SearchClient,
    index: str,
    *,
    relevant: int = 1,
    match: str = "best_fields",
    judged_only: bool = False,
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Search every query both ways and measure both orders; `progress` is called after each query.

    With `judged_only`, hits that nobody judged are left out of both orders before they are measured (Sakai,
    "Alternatives to Bpref", 2007: condensed lists), for collections with judgements of few documents.

    Raises:
        SearchError: one of the two does not answer, or not with 200.
    """
    first_stage: dict[str, Sequence[str]] = {}
    reranked: dict[str, Sequence[str]] = {}
    statuses: Counter[str] = Counter()
    for query, text in collection.queries.items():
        body = build_search_body(text, collection.text_fields, match)
        answer, _ = search_until_reranked(proxied, index, body, tries=TRIES)
        first_stage[query] = collection.select_counted(query, straight.search(index, body).ids, judged_only)
        reranked[query] = collection.select_counted(query, answer.ids, judged_only)
        statuses[_summarise_status(answer.status)] += 1
        progress()
    before = measure(collection.qrels, first_stage, relevant=relevant)
    after = measure(collection.qrels, reranked, relevant=relevant)
    ndcg, rr = compare(before.ndcg, after.ndcg), compare(before.rr, after.rr)
    return Evaluation(collection, relevant, before, after, ndcg, rr, dict(statuses))


def build_search_body(text: str, fields: Sequence[str], match: str) -> dict[str, Any]:
    """Return a search for the ids of the best 100 documents; `match` is the type of `multi_match`."""
    if len(fields) == 1:
        query: dict[str, Any] = {"match": {fields[0]: text}}
    else:
        query = {"multi_match": {"query": text, "fields": list(fields), "type": match}}
    return {"query": query, "size": WINDOW, "_source": False}


def _summarise_status(status: str) -> str:
    """Return `applied`, or `skipped; reason=...`, without the members that differ from search to search."""
    parts = [part.strip() for part in status.split(";")]
    return "; ".join(part for part in parts if "=" not in part or part.startswith("reason=")) or "no proxy"
