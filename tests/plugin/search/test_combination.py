"""A window's features as the proxy finds them: signals, logged features; and combiners by name."""

import json
from typing import Any

import numpy as np
import pytest

from opensearch.fields.vector_field import Hit
from opensearch.search.decision import plan_search
from opensearch.search.plan import Plan
from opensearch.search.request import SearchRequest
from opensearch.search.response import SearchResponse
from opensearch.search.window_request import can_split
from opensearch.settings.target import Target
from opensearch.settings.validation import parse_settings
from plugin.search.combination import build_features, find_combiner
from reranker.combiner import LinearCombiner
from reranker.errors import CombinerError
from reranker.feature_table import FeatureTable
from reranker.features import FEATURES
from reranker.manifest import FusionDefault
from reranker.window_vectors import WindowVectors
from tests.support.indices.stored_vectors import COSINE, DIM, QUERY, TAG

SIGNALS = [
    {"field": "sales", "kind": "saturation", "weight": 1, "pivot": 10},
    {"field": "sales", "kind": "log1p", "weight": -1, "scale": 9},
    {"field": "stock", "kind": "saturation", "weight": 1, "pivot": 1},
]
MATCH = {"name": "t", "value": 1.5}
LOG = {"ltr_log": {"log_specs": {"name": "log_entry1", "named_query": "logged_featureset"}}}
HITS = [
    {
        "_id": "1",
        "_score": 2.0,
        "fields": {"sales": [30], "_ltrlog": [{"log": [MATCH]}]},
    },
    {"_id": "2", "_score": 1.0, "fields": {"stock": [1], "_ltrlog": [{"log": [{"name": "t"}]}]}},
]


def make_plan(ext: dict[str, Any], path: str = "/books/_search", **settings: Any) -> Plan:  # noqa: ANN401
    given = parse_settings({"model": "tiny", "source_fields": ["text"], **settings})
    body = {"query": {"match": {"text": "wait a bit"}}, "ext": ext}
    asked = SearchRequest.parse(path, json.dumps(body).encode())
    target = Target(given, {"books": (given.field,)})
    plan = plan_search(asked, target, defaults=FusionDefault("log_linear", 1.0, 0.0, 0.0)).plan
    assert isinstance(plan, Plan), plan
    return plan


def read_hits() -> list[Hit]:
    found = {"took": 1, "timed_out": False, "_shards": {"total": 1, "failed": 0}, "hits": {"hits": HITS}}
    return list(SearchResponse.parse(json.dumps(found).encode()).hits)


def find_features(plan: Plan) -> FeatureTable:
    vectors = WindowVectors([None, None], dim=DIM, model_tag=TAG)
    first_stage = np.array([2.0, 1.0])
    return build_features(
        plan, read_hits(), first_stage, query=QUERY, vectors=vectors, crossing=COSINE, weight=1.0
    )


def test_each_signal_is_a_feature_by_its_field() -> None:
    table = find_features(make_plan({"rerank": {"features": True}}, fusion={"signals": SIGNALS}))
    assert table.names == (*FEATURES, "signal.sales", "signal.sales#2", "signal.stock")
    signals = table.select(["signal.sales", "signal.sales#2", "signal.stock"])
    assert signals.tolist() == [[0.75, 1.0, 0.5], [0.5, 0.5, 0.5]], "0.5 is what a missing value counts"
    assert table.select(["query_words"])[:, 0].tolist() == [3, 3]


def test_logged_features_join_if_the_search_asks_for_them() -> None:
    plan = make_plan({**LOG, "rerank": {"features": True}})
    assert plan.reads_logged_features
    assert not can_split(plan), "the plugin logs them for the hits of one request"
    assert find_features(plan).select(["ltr.t"])[:, 0].tolist() == [1.5, 0.0]
    combined = make_plan(LOG, fusion={"method": "combiner", "combiner": "shop"})
    assert combined.reads_logged_features


def test_nothing_is_logged_for_searches_that_do_not_read_it() -> None:
    plan = make_plan(LOG)
    assert not plan.reads_logged_features
    assert can_split(plan)
    assert find_features(make_plan({"rerank": {"features": True}})).names == tuple(FEATURES)


def test_a_filter_of_the_answer_is_widened_by_what_is_logged() -> None:
    path = "/books/_search?filter_path=hits.hits._id"
    plan = make_plan({**LOG, "rerank": {"features": True}}, path)
    assert plan.filter_path is not None
    assert "_ltrlog" in plan.filter_path.parameter
    assert "_ltrlog" not in str(make_plan(LOG, path).filter_path)


SHOP = LinearCombiner(("crossing",), np.ones(1), "tiny")


@pytest.mark.parametrize(
    ("name", "model", "message"),
    [
        (None, "tiny", r"a combiner that this proxy has \(shop\), found None"),
        ("store", "tiny", r"a combiner that this proxy has \(shop\), found 'store'"),
        ("shop", "other", "a combiner for other, found 'shop' for tiny"),
    ],
)
def test_a_combiner_that_cannot_be_used_is_named(name: str | None, model: str, message: str) -> None:
    with pytest.raises(CombinerError, match=message):
        find_combiner({"shop": SHOP}, name, model)
    with pytest.raises(CombinerError, match=r"\(none\), found 'shop'"):
        find_combiner({}, "shop", "tiny")


def test_a_combiner_is_found_by_its_name() -> None:
    assert find_combiner({"shop": SHOP}, "shop", "tiny") is SHOP
