"""An evaluation from a folder to its measures: index, proxy, searches."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from indexer.load.summary import Summary
from opensearch.client import index_path
from plugin.evaluation.clients import open_clients
from plugin.evaluation.collection import Collection, read_collection
from plugin.evaluation.evaluate import Evaluation, evaluate
from plugin.harness.prepared_index import prepare_index
from plugin.upstream.connecting import Connecting
from reranker.beir_files import CORPUS, CollectionError, find_file
from reranker.bundle import DEFAULT_BUNDLE, Bundle

DEADLINE_MS = 5000
"""An evaluation measures order, not speed: a busy machine must not skip a query."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What to evaluate, and how.

    `index` is None for one named after the folder; `proxy` is None to start one; `relevant` is the lowest
    grade that counts as relevant; `analyzer` is that of a new index; `match` is the type of `multi_match` if
    the collection has titles; `judged_only` leaves unjudged hits out.
    """

    folder: Path
    connecting: Connecting
    proxy: str | None = None
    index: str | None = None
    queries_limit: int | None = None
    qrels: Path | None = None
    relevant: float = 1
    analyzer: str | None = None
    match: str = "best_fields"
    judged_only: bool = False
    bundle: Path = DEFAULT_BUNDLE


@dataclass(frozen=True)
class Listeners:
    """Callbacks for progress: documents indexed and their total, queries searched and their total."""

    indexed: Callable[[int, int], None] = lambda done, total: None
    searched: Callable[[int, int], None] = lambda done, total: None


def run_evaluation(plan: EvaluationPlan, listeners: Listeners) -> Evaluation:
    """Index the collection, search every query both ways, measure. The index stays for the next run.

    Raises:
        CollectionError, PreparationError, ProxyError, SearchError, OpenSearchError: a step failed.
    """
    collection = read_collection(plan.folder, queries_limit=plan.queries_limit, qrels_file=plan.qrels)
    if not any(grade >= plan.relevant for grades in collection.qrels.values() for grade in grades.values()):
        raise CollectionError(f"{plan.folder}: expected a grade of at least {plan.relevant:g}, found none")
    index = plan.index or f"evaluate-{collection.name.lower()}"

    _index(plan, collection, index, listeners)
    done = iter(range(1, len(collection.queries) + 1))
    with open_clients(plan.proxy, plan.connecting, plan.bundle) as (straight, proxied):
        return evaluate(
            collection,
            straight,
            proxied,
            index,
            relevant=plan.relevant,
            match=plan.match,
            judged_only=plan.judged_only,
            progress=lambda: listeners.searched(next(done), len(collection.queries)),
        )


def _index(plan: EvaluationPlan, collection: Collection, index: str, listeners: Listeners) -> None:
    """Index the corpus, then merge segments: BM25's statistics would still count replaced documents."""

    def indexed(summary: Summary) -> None:
        listeners.indexed(summary.indexed, collection.num_documents)

    prepare_index(
        plan.connecting,
        index,
        find_file(plan.folder, CORPUS),
        collection.text_fields,
        bundle=Bundle.open(plan.bundle),
        settings={"deadline_ms": DEADLINE_MS},
        analyzer=plan.analyzer,
        progress=indexed,
    )
    with closing(plan.connecting.client()) as upstream:
        upstream.request("POST", index_path(index, "_forcemerge"), params={"max_num_segments": "1"})
