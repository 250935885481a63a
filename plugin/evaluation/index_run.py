"""An evaluation on an index that is in use: judged queries, a proxy, searches. Nothing is written."""

import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensearch.client import OpenSearchClient, index_path
from plugin.compare.placeholders import PLACEHOLDERS, fill_placeholders, has_placeholder
from plugin.compare.source_fields import find_source_fields
from plugin.errors import CommandError
from plugin.evaluation.clients import open_clients
from plugin.evaluation.collection import Collection
from plugin.evaluation.evaluate import WINDOW, Evaluation, evaluate
from plugin.evaluation.judged_documents import JudgedQueries, read_judged_queries
from plugin.evaluation.measures import DEPTH
from plugin.upstream.connecting import Connecting
from reranker.bundle import DEFAULT_BUNDLE
from reranker.query_files import EvaluationQuery


class SearchBodyError(CommandError):
    """A search body cannot be used for the queries: says what it lacks."""


@dataclass(frozen=True)
class IndexPlan:
    """What to evaluate, and how.

    `queries` and `judgments` are files; `queries` is None if the judgements have the texts. `proxy` is None
    to start one. `fields` are searched and shown; empty: the source fields. `body` is the search of each
    query, with a placeholder for its text; None: a `multi_match`.
    """

    index: str
    connecting: Connecting
    judgments: str | None
    queries: str | None = None
    proxy: str | None = None
    fields: tuple[str, ...] = ()
    body: Mapping[str, Any] | None = None
    queries_limit: int | None = None
    relevant: float = 1
    judged_only: bool = False
    bundle: Path = DEFAULT_BUNDLE


def evaluate_index(plan: IndexPlan, searched: Callable[[int, int], None]) -> Evaluation:
    """Search every judged query straight and through a proxy, and measure both orders.

    `searched` is called after each query with how many are done, and their total.

    Raises:
        CollectionError, NothingJudgedError, SearchBodyError, ProxyError, SearchError, OpenSearchError: a step
            failed.
    """
    with closing(plan.connecting.client()) as client:
        judged = read_judged_queries(client, plan.index, plan.queries, plan.judgments)
        fields = plan.fields or find_source_fields(client, plan.index)
        collection = _make_collection(client, plan, judged, fields)
    size = WINDOW if plan.judged_only else DEPTH
    build_body = make_body_builder(judged.queries, fields, size, plan.body)
    done = iter(range(1, len(collection.queries) + 1))
    with open_clients(plan.proxy, plan.connecting, plan.bundle) as (straight, proxied):
        return evaluate(
            collection,
            straight,
            proxied,
            plan.index,
            relevant=plan.relevant,
            judged_only=plan.judged_only,
            build_body=build_body,
            title_fields=fields,
            progress=lambda: searched(next(done), len(collection.queries)),
        )


def _make_collection(
    client: OpenSearchClient, plan: IndexPlan, judged: JudgedQueries, fields: tuple[str, ...]
) -> Collection:
    """Return the index as a collection, with the first `queries_limit` judged queries."""
    kept = list(judged.queries)[: plan.queries_limit]
    count = int(client.request("GET", index_path(plan.index, "_count"))["count"])
    return Collection(
        plan.index,
        count,
        fields,
        {query: judged.queries[query].text for query in kept},
        {query: judged.grades[query] for query in kept},
        {},
        judged.num_missing,
    )


def make_body_builder(
    queries: Mapping[str, EvaluationQuery],
    fields: tuple[str, ...],
    size: int,
    template: Mapping[str, Any] | None,
) -> Callable[[str], dict[str, Any]]:
    """Return a function from a query's id to its search: its own body, else the template, else `multi_match`.

    Every search asks for the first `size` hits, whatever its body says.

    Raises:
        SearchBodyError: the template has no placeholder.
    """
    if template is not None and not has_placeholder(json.dumps(template)):
        raise SearchBodyError(
            f"--body: expected a search with {PLACEHOLDERS[0]} in place of a query's text, found none"
        )

    def build(id_: str) -> dict[str, Any]:
        query = queries[id_]
        if query.body is not None:
            body = query.body
        elif template is not None:
            body = fill_placeholders(template, query.text)
        else:
            chosen = {"fields": list(fields)} if fields else {}
            body = {
                "query": {"multi_match": {"query": query.text, **chosen}},
                "_source": list(fields) or True,
            }
        return {**body, "from": 0, "size": size}

    return build
