"""A collection searched on the real path, directly and through the proxy, and measured."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from plugin.compare.comparison import BothOrders, search_both
from plugin.evaluation.collection import Collection
from plugin.evaluation.measures import DEPTH, Difference, Measures, compare, measure
from plugin.evaluation.query_result import QueryResult, keep_titles
from plugin.upstream.search_client import SearchClient, SearchError

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
    relevant: float
    first_stage: Measures
    reranked: Measures
    ndcg: Difference
    rr: Difference
    statuses: dict[str, int]
    results: tuple[QueryResult, ...] = ()
    bundles: tuple[str, ...] = ()
    """The bundles that reranked, as `Rerank-Status` names them."""

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
    relevant: float = 1,
    match: str = "best_fields",
    judged_only: bool = False,
    build_body: Callable[[str], dict[str, Any]] | None = None,
    title_fields: Sequence[str] = (),
    progress: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Search every query both ways and measure both orders; `progress` is called after each query.

    `build_body` returns the search of a query id; None: the text is looked for in the collection's fields,
    with `match` as the type of `multi_match`. `title_fields` are those by which a hit is shown.

    With `judged_only`, hits that nobody judged are left out of both orders before they are measured (Sakai,
    "Alternatives to Bpref", 2007: condensed lists), for collections with judgements of few documents.

    Raises:
        SearchError: one of the two does not answer, or not with 200.
    """
    first_stage: dict[str, Sequence[str]] = {}
    reranked: dict[str, Sequence[str]] = {}
    pages: dict[str, BothOrders] = {}
    for query, text in collection.queries.items():
        if build_body is None:
            body = build_search_body(text, collection.text_fields, match)
        else:
            body = build_body(query)
        orders = _search_query(straight, proxied, index, query, text, body)
        first_stage[query] = collection.select_counted(query, orders.straight.ids, judged_only)
        reranked[query] = collection.select_counted(query, orders.reranked.ids, judged_only)
        pages[query] = keep_titles(orders, title_fields, DEPTH)
        progress()
    before = measure(collection.qrels, first_stage, relevant=relevant)
    after = measure(collection.qrels, reranked, relevant=relevant)
    values = zip(pages.items(), before.ndcg.tolist(), after.ndcg.tolist(), strict=True)
    return Evaluation(
        collection,
        relevant,
        before,
        after,
        compare(before.ndcg, after.ndcg),
        compare(before.rr, after.rr),
        dict(Counter(_summarise_status(page.reranked.status) for page in pages.values())),
        tuple(
            QueryResult(query, page.query, a, b, page, collection.qrels[query])
            for (query, page), a, b in values
        ),
        tuple(sorted({bundle for page in pages.values() if (bundle := _find_bundle(page.reranked.status))})),
    )


def _search_query(
    straight: SearchClient, proxied: SearchClient, index: str, query: str, text: str, body: dict[str, Any]
) -> BothOrders:
    """Search one query both ways.

    Raises:
        SearchError: as `evaluate`; names the query.
    """
    try:
        return search_both(straight, proxied, index, text, body, tries=TRIES)
    except SearchError as error:
        raise SearchError(f"query {query}: {error}") from error


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


def _find_bundle(status: str) -> str:
    """Return the bundle in a `Rerank-Status`, empty if it has none."""
    words = (part.strip() for part in status.split(";"))
    return next((word.removeprefix("bundle=") for word in words if word.startswith("bundle=")), "")
