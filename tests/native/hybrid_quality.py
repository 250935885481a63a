"""How good hybrid search is, reranked and not: `python -m tests.native.hybrid_quality --help`.

The documents' own stored vectors serve as k-NN's, each document by its first chunk. Windows come from
OpenSearch 2.19.1 with its plugins, one shard. They are ordered by the reranker's own code, as the proxy does
it, so that many scales can be tried on one window. z-scores, which 2.19.1 does not have, are computed from
the lists of both parts by the plugin's formula.

With `--pool` a collection is cut down to the documents that are among BM25's best 100 for one of the queries,
because their vectors are in the cache of `twinrank-export evaluate` already.
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, helpers

from model_export.data.collection import load_collection
from model_export.evaluation.cosines import encode_hits
from plugin.evaluation.collection import Collection, read_collection
from plugin.evaluation.measures import Difference, compare, measure
from reranker.arrays import Floats, Floats64
from reranker.beir_files import CORPUS, DocumentRecord, find_file, read_records
from reranker.bundle import Bundle
from reranker.fusion import choose_fusion
from reranker.hybrid_scores import SCALES
from reranker.integer_query import round_query
from reranker.rerank import rerank
from reranker.stored_vector import pack
from tests.native.assembled import assembled_server
from tests.support.indices.hybrid_index import PIPELINES, put_pipelines
from tests.support.java_options import QUICK_START

WINDOW = 100
FIRST_STAGES = ("bm25", "knn", "min_max", "l2", "z_score", "rrf")
TRIED = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
"""The scales to try."""

Window = list[tuple[str, float]]
"""Ids and first-stage scores, best first."""


@dataclass(frozen=True)
class Bench:
    """One collection with everything that orders its windows.

    `windows` has query id -> window for each first stage, `vectors` id -> (num_chunks, dim) float32.
    """

    bundle: Bundle
    collection: Collection
    windows: Mapping[str, Mapping[str, Window]]
    vectors: Mapping[str, Floats]

    @cached_property
    def _queries(self) -> dict[str, Floats]:
        encode = self.bundle.load_query_encoder()
        return {query: round_query(encode(text)) for query, text in self.collection.queries.items()}

    @cached_property
    def _packed(self) -> dict[str, bytes]:
        tag = self.bundle.model_tag
        return {id_: pack(each, text_hash=0, model_tag=tag) for id_, each in self.vectors.items()}

    def measure_first_stage(self, stage: str) -> Floats64:
        """Return nDCG@10 of each query in the first stage's order."""
        return self._measure({query: [id_ for id_, _ in hits] for query, hits in self.windows[stage].items()})

    def measure_reranked(self, stage: str, scale: float | None) -> Floats64:
        """Return nDCG@10 of each query reranked, by scaled scores unless `scale` is None."""
        orders = {query: self._rerank(query, hits, scale) for query, hits in self.windows[stage].items()}
        return self._measure(orders)

    def _rerank(self, query: str, hits: Window, scale: float | None) -> list[str]:
        if not hits:
            return []
        first = np.array([score for _, score in hits], np.float64)
        own = self.bundle.manifest.fusion
        if scale is not None:
            first = first[0] * np.exp(scale * first / first[0])
        ranking = rerank(
            first,
            choose_fusion("log_linear", own.weight, 60),
            query=self._queries[query],
            packed=[self._packed[id_] for id_, _ in hits],
            crossing=self.bundle.load_crossing(),
            model_tag=self.bundle.model_tag,
            feedback=own.feedback,
            smoothing=own.smoothing,
        )
        return [hits[place][0] for place in ranking.order.tolist()]

    def _measure(self, orders: Mapping[str, list[str]]) -> Floats64:
        counted = {
            query: self.collection.select_counted(query, ids, judged_only=False)
            for query, ids in orders.items()
        }
        return measure(self.collection.qrels, counted).ndcg


def open_bench(folder: Path, cache: Path, queries_limit: int, *, url: str | None, is_pool: bool) -> Bench:
    """Read a collection, its vectors and its windows; those that are not in the cache are made first.

    `url` is that of an OpenSearch with the plugins, None if all windows are in the cache. `is_pool` cuts the
    collection down to BM25's hits.
    """
    bundle, collection = Bundle.open(), read_collection(folder, queries_limit=queries_limit)
    judged = load_collection(folder, queries_limit)
    if not is_pool:
        judged = replace(judged, run={"": dict.fromkeys(judged.documents, 1.0)})
    vectors = encode_hits(bundle, judged, cache, threads=1)
    collection = _keep_documents(collection, vectors)
    file = cache / f"{collection.name}-{queries_limit}{'-pool' if is_pool else ''}-windows.json"
    if not file.exists():
        assert url is not None, f"{file} is missing: start without --offline"
        with OpenSearch(url, timeout=300) as client:
            file.write_text(json.dumps(_search(client, folder, collection, vectors, bundle)))
    windows = json.loads(file.read_text())
    windows["z_score"] = {
        query: combine_z_scores(windows["bm25"][query], windows["knn"][query]) for query in windows["bm25"]
    }
    return Bench(bundle, collection, windows, vectors)


def _keep_documents(collection: Collection, vectors: Mapping[str, Floats]) -> Collection:
    """Return the collection without judgements of other documents, and without queries that lose all."""
    left = {
        query: {id_: grade for id_, grade in grades.items() if id_ in vectors}
        for query, grades in collection.qrels.items()
    }
    qrels = {query: grades for query, grades in left.items() if any(grade > 0 for grade in grades.values())}
    return replace(collection, qrels=qrels, queries={query: collection.queries[query] for query in qrels})


def _search(
    client: OpenSearch, folder: Path, collection: Collection, vectors: Mapping[str, Floats], bundle: Bundle
) -> dict[str, dict[str, Window]]:
    """Index a collection and return its windows."""
    name, encode = f"quality-{collection.name}", bundle.load_query_encoder()
    text = {field: {"type": "text", "analyzer": "english"} for field in collection.text_fields}
    method = {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"}
    vector = {"type": "knn_vector", "dimension": bundle.manifest.dim, "method": method}
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "index.knn": True}
    mappings = {"_source": {"enabled": False}, "properties": {**text, "embedding": vector}}
    client.indices.delete(index=name, ignore_unavailable=True)
    client.indices.create(index=name, body={"settings": settings, "mappings": mappings})
    helpers.bulk(client, _build_actions(folder, name, collection.text_fields, vectors), chunk_size=200)
    client.indices.forcemerge(index=name, max_num_segments=1)
    client.indices.refresh(index=name)
    put_pipelines(client)
    found: dict[str, dict[str, Window]] = {stage: {} for stage in ("bm25", "knn", *PIPELINES)}
    for query, words in collection.queries.items():
        match = {"multi_match": {"query": words, "fields": list(collection.text_fields)}}
        knn = {"knn": {"embedding": {"vector": encode(words).tolist(), "k": WINDOW}}}
        hybrid = {"hybrid": {"queries": [match, knn]}}
        for stage in found:
            body = {"bm25": match, "knn": knn}.get(stage, hybrid)
            params = {"search_pipeline": stage} if stage in PIPELINES else {}
            page = client.search(index=name, body={"query": body, "size": WINDOW}, params=params)
            found[stage][query] = [(hit["_id"], hit["_score"]) for hit in page["hits"]["hits"]]
    client.indices.delete(index=name)
    return found


def _build_actions(
    folder: Path, name: str, fields: tuple[str, ...], vectors: Mapping[str, Floats]
) -> Iterator[dict[str, Any]]:
    for document in read_records(find_file(folder, CORPUS), DocumentRecord):
        id_ = str(document.id)
        if id_ not in vectors:
            continue
        texts = {field: getattr(document, field) or "" for field in fields}
        yield {"_index": name, "_id": id_, "_source": {**texts, "embedding": vectors[id_][0].tolist()}}


def combine_z_scores(*parts: Window) -> Window:
    """Return the window that z-scores and their arithmetic mean give, as OpenSearch 3.0 computes them."""
    total: dict[str, float] = {}
    for part in parts:
        scores = np.array([score for _, score in part], np.float64)
        spread = scores.std(ddof=1) if len(scores) > 1 else 0.0
        for (id_, _), score in zip(part, scores, strict=True):
            z = (score - scores.mean()) / spread if spread else 0.0
            total[id_] = total.get(id_, 0.0) + max(float(z), 0.001) / len(parts)
    return sorted(total.items(), key=lambda hit: -hit[1])[:WINDOW]


def calibrate(benches: list[Bench]) -> None:
    """Print each scale's mean nDCG@10 over the collections, and the best."""
    for stage in SCALES:
        means = {
            scale: float(np.mean([each.measure_reranked(stage, scale).mean() for each in benches]))
            for scale in (None, *TRIED)
        }
        best = max((scale for scale in means if scale is not None), key=means.__getitem__)
        row = ", ".join(
            f"{'as it is' if scale is None else scale}: {mean:.4f}" for scale, mean in means.items()
        )
        print(f"{stage}: best {best:g}; {row}", flush=True)  # noqa: T201


def report(benches: list[Bench]) -> None:
    """Print the table of results."""
    head = (
        "collection",
        "queries",
        "first stage",
        "alone",
        "as it is",
        "scaled",
        "scaled - alone",
        "won/lost",
    )
    print("|", " | ".join([*head, "scaled - as it is", "won/lost"]), "|")  # noqa: T201
    for bench in benches:
        for stage in FIRST_STAGES:
            alone, plain = bench.measure_first_stage(stage), bench.measure_reranked(stage, None)
            scaled = bench.measure_reranked(stage, SCALES[stage]) if stage in SCALES else plain
            gain, change = compare(alone, scaled), compare(plain, scaled)
            means = [f"{values.mean():.3f}" for values in (alone, plain, scaled)]
            cells = [
                bench.collection.name,
                str(len(alone)),
                stage,
                *means,
                *_describe(gain),
                *_describe(change),
            ]
            print("|", " | ".join(cells), "|", flush=True)  # noqa: T201


def _describe(difference: Difference) -> tuple[str, str]:
    shown = f"{difference.mean:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
    return shown, f"{difference.won} / {difference.lost}"


@contextmanager
def running_server(*, offline: bool) -> Iterator[str | None]:
    """Yield the URL of a server with the plugins, None if none is needed."""
    if offline:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="twinrank-hybrid-"))
    folder.chmod(0o755)
    made = assembled_server(folder / "server")
    server = replace(made, java_options=QUICK_START, start_timeout_s=900)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder)


def main() -> None:
    """Read the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibrate", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--report", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--cache", type=Path, default=Path("var/hybrid"), help="vectors and windows")
    parser.add_argument("--queries", type=int, default=500, help="the first so many of each collection")
    parser.add_argument("--pool", action="store_true", help="only documents that are BM25's hits")
    parser.add_argument(
        "--offline", action="store_true", help="start no server: all windows are in the cache"
    )
    options = parser.parse_args()
    cache, limit = options.cache, options.queries
    cache.mkdir(parents=True, exist_ok=True)
    with running_server(offline=options.offline) as url:
        for folders, run in ((options.calibrate, calibrate), (options.report, report)):
            if folders:
                run([open_bench(each, cache, limit, url=url, is_pool=options.pool) for each in folders])


if __name__ == "__main__":
    main()
