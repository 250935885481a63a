"""What follows the scores of a window of 100: signals, rules, least probability, diversity and others.

    OPENBLAS_NUM_THREADS=1 python -m tests.benchmarks.adjusting

Processor time of one thread, in ms, as the 10th percentile and the median of many runs: a busy machine
changes the first one least.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from opensearch.fields.doc_values import read_numbers, read_texts
from opensearch.fields.vector_field import Hit
from opensearch.search.request import SearchRequest
from opensearch.settings.signals import DocValueField
from opensearch.settings.target import IndexRecord, Target, resolve_records
from plugin.search.rules import find_effects
from reranker.arrays import Booleans
from reranker.combiner import Combiner, LinearCombiner, combine
from reranker.combiner_files import parse_combiner
from reranker.crossing import Cosine
from reranker.diversity import diversify
from reranker.exact import is_exact, normalise, put_exact_first
from reranker.features import FeatureInput, compute_features
from reranker.rerank import Ranking, rank
from reranker.rules import apply_boosts
from reranker.signals import Signal, apply_signals
from reranker.stored_vector import pack
from reranker.threshold import demote_unlikely
from reranker.window_vectors import WindowVectors
from tests.support.indices.stored_vectors import log_linear

WINDOW, DIM, REPEATS, TAG, NUM_TREES = 100, 384, 400, 7, 60
CROSSING = Cosine(scale=22.0, offset=-17.0)
SALES, PUBLISHED = DocValueField("sales"), DocValueField("published", is_date=True)
IDS = frozenset(map(str, range(5)))
SIGNALS = (Signal("log1p", 1.5, 0.5, 1e4), Signal("decay", 0.5, 0.5, 90 * 86_400_000.0, 1.76e12))


def make_hits(random: np.random.Generator) -> list[Hit]:
    """Return hits with the doc values of two signals and a part number."""
    fields = (
        {"sales": [int(random.integers(10_000))], "published": ["1750000000000"], "part": [f"AB-{n}"]}
        for n in range(WINDOW)
    )
    return [{"_id": Raw(b'"1"'), "fields": Raw(json.dumps(each).encode())} for each in fields]


def make_ruled_search() -> tuple[Target, SearchRequest]:
    """Return an index with 200 rules, of which three apply to the search."""
    kinds = ("is", "contains", "pattern", "is", "contains")
    conditions = [{kinds[n % 5]: f"offer {n} of *" if n % 5 == 2 else f"offer {n} tent"} for n in range(200)]
    for number, condition in ((11, {"contains": "red tent"}), (12, {"pattern": "a red*"}), (150, {})):
        conditions[number] = condition
    rules = [
        {"when": {"query": each} if each else {}, "then": {"hide": [f"hidden-{n}"]}}
        for n, each in enumerate(conditions)
    ]
    record = IndexRecord({"model": "m", "source_fields": ["t"], "rules": rules})
    body = {"query": {"match": {"text": "a red tent for two in summer"}}}
    search = SearchRequest.parse("/shop/_search", json.dumps(body).encode())
    target = resolve_records({"shop": record}, {})
    assert find_effects(search, target).num_hidden == 3
    return target, search


def make_vectors(random: np.random.Generator, num_copies: int) -> np.ndarray:
    """Return (1 + WINDOW, DIM) unit vectors around a common direction; the last ones are copies."""
    vectors = random.standard_normal((WINDOW + 1, DIM)) + 1.5
    vectors[WINDOW + 1 - num_copies :] = vectors[1 : num_copies + 1]
    unit: np.ndarray = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def parts(num_copies: int) -> Iterator[tuple[str, Callable[[], Ranking]]]:
    """Yield each part by its name."""
    random = np.random.default_rng(3)
    hits, vectors = make_hits(random), make_vectors(random, num_copies)
    packed = [pack(each[None], text_hash=0, model_tag=TAG) for each in vectors[1:]]
    window, query = WindowVectors(packed, dim=DIM, model_tag=TAG), vectors[0]
    ranking = rank(np.linspace(20, 2, WINDOW), window.scores(query, CROSSING), log_linear(9.0))

    def with_signals() -> Ranking:
        values = [np.array(each) for each in read_numbers(hits, (SALES, PUBLISHED))]
        return apply_signals(ranking, SIGNALS, values, is_logarithm=True)

    def with_exact() -> Ranking:
        text = normalise("ab-77")
        exact: Booleans = np.array([is_exact(each, text) for each in read_texts(hits, ["part"])])
        return put_exact_first(ranking, exact)

    yield "two signals, with the reading of their doc values", with_signals
    target, search = make_ruled_search()

    def with_rules() -> Ranking:
        find_effects(search, target)
        return ranking

    def with_boosts() -> Ranking:
        named = np.array([msgspec.json.decode(hit["_id"]) in IDS for hit in hits])
        return apply_boosts(ranking, [np.where(named, 0.7, 0.0)], is_logarithm=True)

    yield "finding the rules of a query among 200", with_rules
    yield "one boost of five ids", with_boosts
    yield "least probability", lambda: demote_unlikely(ranking, CROSSING, 0.3)
    yield (
        f"diversity, {num_copies} copies in the window",
        lambda: diversify(
            ranking, query=query, vectors=window, crossing=CROSSING, diversity=0.3, is_logarithm=True
        ),
    )
    yield "exact matches, with the reading of one field", with_exact
    features = FeatureInput(
        np.linspace(20, 2, WINDOW), query, window, CROSSING, 9.0, "some words", np.zeros(WINDOW, np.bool_), {}
    )
    table = compute_features(features)
    linear = LinearCombiner(table.names, random.standard_normal(len(table.names)))
    trees = make_trees(random, table.names)
    yield "features", lambda: replace(ranking, features=compute_features(features))
    yield "a linear combiner, without its features", lambda: combine(ranking, linear, table)
    yield f"a combiner of {NUM_TREES} trees, without its features", lambda: combine(ranking, trees, table)


def make_trees(random: np.random.Generator, names: Sequence[str]) -> Combiner:
    """Return whole trees of three levels, in the form that LightGBM writes."""

    def make_node(depth: int) -> dict[str, Any]:
        if depth == 0:
            return {"leaf_value": float(random.standard_normal())}
        return {
            "split_feature": int(random.integers(len(names))),
            "threshold": float(random.standard_normal()),
            "decision_type": "<=",
            "left_child": make_node(depth - 1),
            "right_child": make_node(depth - 1),
        }

    trees = [{"tree_structure": make_node(3)} for _ in range(NUM_TREES)]
    return parse_combiner(json.dumps({"feature_names": list(names), "tree_info": trees}).encode())


def measure(run: Callable[[], Ranking]) -> tuple[float, float]:
    """Return the 10th percentile and the median of a part's processor time, in ms."""
    taken = []
    for _ in range(REPEATS):
        before = time.thread_time_ns()
        run()
        taken.append((time.thread_time_ns() - before) / 1e6)
    low, middle = np.percentile(taken, [10, 50])
    return float(low), float(middle)


def main() -> None:
    """Print one line for each part."""
    for num_copies in (0, 20):
        for name, run in parts(num_copies):
            if num_copies == 0 or name.startswith("diversity"):
                print("| {} | {:.3f} | {:.3f} |".format(name, *measure(run)))  # noqa: T201


if __name__ == "__main__":
    main()
