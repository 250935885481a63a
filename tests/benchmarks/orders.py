"""What the last word on an order is worth: exact matches, combiners and diversity on judged collections.

    python -m tests.benchmarks.orders var/data/cranfield var/data/homedepot --queries-limit 500

For each folder in BEIR layout it prints Markdown rows: BM25, reranked, with `keep_exact`, with combiners that
are learned on other queries, with `diversity`; of all hits and of judged ones alone. Then near copies of
every relevant document are planted, and alpha-nDCG says whether the first page repeats itself. Indices stay.
"""

import gzip
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from opensearchpy import OpenSearch

from opensearch.client import index_path
from opensearch.index import metadata
from opensearch.index.enable import EnableRequest, enable
from plugin.encoding.model import Model
from plugin.evaluation.collection import Collection, read_collection
from plugin.evaluation.combiner_training import KINDS, learn
from plugin.evaluation.measures import compare, measure
from plugin.evaluation.paired_report import format_interval
from plugin.evaluation.tune import TuningError, Window
from plugin.evaluation.tune_windows import WindowRequest, search_windows
from plugin.harness.prepared_index import prepare_index
from plugin.options.common import bundle_option
from plugin.search.explain import search_handler
from plugin.settings.cache import SettingsCache
from plugin.upstream.connecting import Connecting
from reranker.arrays import Floats64
from reranker.beir_files import CORPUS, find_file
from reranker.bundle import Bundle
from reranker.feature_table import FeatureTable
from reranker.query_files import EvaluationQuery

WINDOW, DEPTH, ALPHA = 100, 10, 0.5
DIVERSITIES = (0.1, 0.2, 0.3, 0.5)
COPY = "~copy"
ENDINGS = ("", " (2-pack)", ", discontinued")
"""What copies have at their end: one is the text itself, listed again."""

Windows = Mapping[str, Window]


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--queries-limit", type=click.IntRange(min=20), help="Use only the first N judged queries.")
@click.option("--planted-limit", type=click.IntRange(min=20), default=100, help="The same, with copies.")
@click.option("--upstream", default="http://127.0.0.1:9200", show_default=True, help="A running OpenSearch.")
@bundle_option
def main(
    folders: Sequence[Path], queries_limit: int | None, planted_limit: int, upstream: str, bundle_path: Path
) -> None:
    """Print the rows of docs/reference/results.md."""
    bundle, connecting = Bundle.open(bundle_path), Connecting(upstream)
    model = Model.load(bundle)
    for folder in folders:
        collection = read_collection(folder, queries_limit=queries_limit)
        index = f"orders-{collection.name}"
        _make_index(connecting, index, collection)
        _fill(connecting, index, find_file(folder, CORPUS), collection, bundle)
        for row in _compare_orders(connecting, model, index, collection):
            click.echo(row)
        few = read_collection(folder, queries_limit=planted_limit)
        planted = f"{index}-planted"
        _plant(connecting, index, planted, find_file(folder, CORPUS), few, bundle)
        for row in _compare_repetition(connecting, model, planted, few):
            click.echo(row)


def _make_index(connecting: Connecting, index: str, collection: Collection) -> None:
    """Create an index with text fields that have a keyword beside them, unless it is there."""
    field = {
        "type": "text",
        "analyzer": "english",
        "fields": {"keyword": {"type": "keyword", "ignore_above": 8191}},
    }
    properties = dict.fromkeys(collection.text_fields, field)
    body = {"settings": {"number_of_shards": 1}, "mappings": {"properties": properties}}
    with closing(connecting.client()) as client:
        if not metadata.find_indices(client, index):
            client.request("PUT", index_path(index), body)


def _fill(connecting: Connecting, index: str, file: Path, collection: Collection, bundle: Bundle) -> None:
    prepare_index(
        connecting, index, file, collection.text_fields, bundle=bundle, settings={"deadline_ms": 5000}
    )
    with closing(connecting.client()) as client:
        client.request("POST", index_path(index, "_forcemerge"), params={"max_num_segments": "1"})
        client.request("POST", index_path(index, "_refresh"))


def _search(
    connecting: Connecting,
    model: Model,
    index: str,
    collection: Collection,
    **controls: Any,  # noqa: ANN401
) -> dict[str, Window]:
    """Return the window of every query, without what does not count as a hit of it."""
    queries = {id_: EvaluationQuery(text) for id_, text in collection.queries.items()}
    with closing(connecting.upstream()) as upstream:
        cache = SettingsCache(upstream, waits_for_coverage=True)
        handler = search_handler(upstream, cache, model)
        found = search_windows(
            handler, cache, (), index, queries, collection.text_fields, WindowRequest(WINDOW, controls)
        )
        return {id_: _leave_out(window, collection.left_out.get(id_, set())) for id_, window in found}


def _leave_out(window: Window, left_out: set[str]) -> Window:
    kept = [place for place, id_ in enumerate(window.ids) if id_ not in left_out]
    table = window.features
    return replace(
        window,
        ids=[window.ids[place] for place in kept],
        shown=[id_ for id_ in window.shown if id_ not in left_out],
        features=None if table is None else FeatureTable(table.names, table.values[:, kept]),
    )


def _compare_orders(
    connecting: Connecting, model: Model, index: str, collection: Collection
) -> Iterator[str]:
    """Yield a row for each order: nDCG@10, its difference to BM25 and to the reranked order, won and lost."""
    fields = [f"{field}.keyword" for field in collection.text_fields]
    plain = _search(connecting, model, index, collection, features=True)
    orders = {"BM25": {id_: window.ids for id_, window in plain.items()}, "reranked": _shown(plain)}
    orders["`keep_exact`"] = _shown(_search(connecting, model, index, collection, keep_exact=fields))
    for diversity in DIVERSITIES:
        found = _search(connecting, model, index, collection, diversity=diversity)
        orders[f"`diversity` {diversity:g}"] = _shown(found)
    for judged_only in (False, True):
        name = f"{collection.name}{', judged only' if judged_only else ''}"
        values = {label: _ndcg(collection, order, judged_only) for label, order in orders.items()}
        for label, each in values.items():
            yield _row(name, label, each, values["BM25"], values["reranked"])
        for kind in KINDS:
            yield _combiner_row(name, kind, plain, collection, model.vectors_of, judged_only)


def _shown(windows: Windows) -> dict[str, Sequence[str]]:
    return {id_: window.shown for id_, window in windows.items()}


def _ndcg(collection: Collection, order: Mapping[str, Sequence[str]], judged_only: bool) -> Floats64:
    judged = {id_: collection.qrels[id_] for id_ in order}
    run = {id_: collection.select_counted(id_, ids, judged_only) for id_, ids in order.items()}
    return measure(judged, run).ndcg


def _row(name: str, label: str, values: Floats64, bm25: Floats64, reranked: Floats64) -> str:
    first, second = compare(bm25, values), compare(reranked, values)
    over_bm25 = "" if label == "BM25" else format_interval(first)
    over_reranked = "" if label in ("BM25", "reranked") else format_interval(second)
    counts = "" if label in ("BM25", "reranked") else f"{second.won} / {second.lost} / {second.tied}"
    return _cells(name, len(values), label, f"{values.mean():.3f}", over_bm25, over_reranked, counts)


def _combiner_row(
    name: str, kind: str, windows: Windows, collection: Collection, model: str, judged_only: bool
) -> str:
    try:
        found = learn(
            kind, windows, collection.qrels, collection.queries, model=model, judged_only=judged_only
        )
    except TuningError as error:  # such as judged hits that are all relevant
        return _cells(name, len(windows), f"combiner, {kind}", f"none: {error}", "", "", "")
    gain = found.gain
    return _cells(
        name,
        found.num_queries,
        f"combiner, {kind}",
        f"{found.unseen:.3f}",
        format_interval(found.against_first_stage),
        format_interval(gain),
        f"{gain.won} / {gain.lost} / {gain.tied}",
    )


def _cells(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _plant(
    connecting: Connecting, index: str, planted: str, corpus: Path, collection: Collection, bundle: Bundle
) -> None:
    """Make an index of all documents with their vectors, and near copies of the relevant ones."""
    relevant = {id_ for grades in collection.qrels.values() for id_, grade in grades.items() if grade >= 1}
    _make_index(connecting, planted, collection)
    wanted = EnableRequest(bundle.vectors_of, {"source_fields": list(collection.text_fields)})
    with closing(connecting.client()) as upstream:  # before anything else maps the vectors
        enable(upstream, planted, wanted)
    with OpenSearch(connecting.url, timeout=600) as client:
        client.reindex(body={"source": {"index": index}, "dest": {"index": planted}})
    opened = gzip.open if corpus.suffix == ".gz" else open
    with tempfile.TemporaryDirectory(prefix="twinrank-") as folder, opened(corpus, "rt") as lines:
        file = Path(folder) / "copies.jsonl"
        with file.open("w") as copies:
            for document in map(json.loads, lines):
                if str(document["_id"]) in relevant:
                    for number, ending in enumerate(ENDINGS):
                        text = {
                            name: document[name] + ending for name in ("title", "text") if document.get(name)
                        }
                        copies.write(json.dumps({**text, "_id": f"{document['_id']}{COPY}{number}"}) + "\n")
        _fill(connecting, planted, file, collection, bundle)


def _compare_repetition(
    connecting: Connecting, model: Model, index: str, collection: Collection
) -> Iterator[str]:
    """Yield a row for each diversity: alpha-nDCG@10, and how many of ten hits repeat one above them."""
    plain = _search(connecting, model, index, collection)
    orders = {"BM25": {id_: window.ids for id_, window in plain.items()}, "reranked": _shown(plain)}
    for diversity in DIVERSITIES:
        orders[f"`diversity` {diversity:g}"] = _shown(
            _search(connecting, model, index, collection, diversity=diversity)
        )
    alpha = {
        label: np.array([_alpha_ndcg(order[id_], collection.qrels[id_]) for id_ in plain])
        for label, order in orders.items()
    }
    for label, values in alpha.items():
        repeated = np.mean([_count_repeated(orders[label][id_]) for id_ in plain])
        gain = "" if label in ("BM25", "reranked") else format_interval(compare(alpha["reranked"], values))
        mean = f"{values.mean():.3f}"
        yield _cells(collection.name, len(values), label, mean, gain, f"{repeated:.2f}")


def _alpha_ndcg(ids: Sequence[str], grades: Mapping[str, float]) -> float:
    """Return alpha-nDCG@10 of one query, each relevant document being a subtopic that its copies share.

    Source: Clarke and others, Novelty and diversity in information retrieval evaluation, SIGIR 2008.
    """
    relevant = {id_ for id_, grade in grades.items() if grade >= 1}
    seen: Counter[str] = Counter()
    gains = []
    for id_ in ids[:DEPTH]:
        original = id_.partition(COPY)[0]
        gains.append((1 - ALPHA) ** seen[original] if original in relevant else 0.0)
        seen[original] += 1
    rounds = np.repeat((1 - ALPHA) ** np.arange(1 + len(ENDINGS)), len(relevant))[:DEPTH]
    return float(_discount(gains) / _discount(rounds)) if relevant else 0.0


def _discount(gains: Sequence[float] | Floats64) -> float:
    return float(np.sum(np.asarray(gains) / np.log2(2 + np.arange(len(gains)))))


def _count_repeated(ids: Sequence[str]) -> int:
    originals = [id_.partition(COPY)[0] for id_ in ids[:DEPTH]]
    return len(originals) - len(set(originals))


if __name__ == "__main__":
    main()
