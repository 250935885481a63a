"""Combiners: LightGBM's trees give LightGBM's values, and a file that is no combiner is refused by name."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reranker.combiner import LinearCombiner, combine
from reranker.combiner_files import MAX_BYTES, MAX_DEPTH, MAX_TREES, parse_combiner, read_combiner
from reranker.errors import CombinerError
from reranker.feature_table import FeatureTable
from reranker.rerank import Ranking

NAMES = ("first_stage", "crossing", "signal.sales")
LEAF: dict[str, Any] = {"leaf_value": 1.0}
SPLIT: dict[str, Any] = {
    "split_feature": 0, "threshold": 0.5, "decision_type": "<=", "default_left": True,
    "missing_type": "None", "left_child": LEAF, "right_child": {"leaf_value": -1},
}  # fmt: skip


def as_json(**members: Any) -> bytes:  # noqa: ANN401
    return json.dumps(members).encode()


def trees(*roots: Any, **members: Any) -> bytes:  # noqa: ANN401
    return as_json(
        feature_names=list(NAMES), tree_info=[{"tree_structure": root} for root in roots], **members
    )


def train(seed: int, values: np.ndarray, *, zero_as_missing: bool, **parameters: Any) -> Any:  # noqa: ANN401
    """Return a booster."""
    lightgbm = pytest.importorskip("lightgbm", reason="needs lightgbm: the dev extra")
    random = np.random.default_rng(seed)
    grades = random.integers(0, 3, len(values))
    data = lightgbm.Dataset(
        values, grades, group=[20] * (len(values) // 20), feature_name=list(NAMES),
        params={"zero_as_missing": zero_as_missing, "verbose": -1},
    )  # fmt: skip
    chosen = {"objective": "lambdarank", "verbose": -1, "num_threads": 1, "seed": seed, **parameters}
    return lightgbm.train(chosen | {"zero_as_missing": zero_as_missing}, data, num_boost_round=12)


def make_values(seed: int, num_hits: int, share_missing: float) -> np.ndarray:
    """Return features with ties, zeros and, for a share of them, NaN."""
    random = np.random.default_rng(seed)
    values = np.round(random.standard_normal((num_hits, len(NAMES))), 1)
    values[random.random(values.shape) < share_missing] = np.nan
    return values


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    share_missing=st.sampled_from([0.0, 0.3]),
    zero_as_missing=st.booleans(),
    use_missing=st.booleans(),
    boosting=st.sampled_from(["gbdt", "dart", "rf"]),
)
def test_trees_give_the_values_of_lightgbm(
    seed: int, share_missing: float, zero_as_missing: bool, use_missing: bool, boosting: str
) -> None:
    booster = train(
        seed,
        make_values(seed, 200, share_missing),
        zero_as_missing=zero_as_missing,
        use_missing=use_missing,
        boosting=boosting,
        bagging_freq=1,
        bagging_fraction=0.7,
        min_data_in_leaf=3,
        num_leaves=9,
    )
    combiner = parse_combiner(json.dumps(booster.dump_model()).encode())
    assert combiner.features == NAMES
    unseen = make_values(seed + 1, 60, 0.2)
    expected = np.asarray(booster.predict(unseen, raw_score=True))
    assert combiner(unseen) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_one_leaf_is_a_tree() -> None:
    assert parse_combiner(trees(LEAF, LEAF))(np.zeros((4, 3))).tolist() == [2.0] * 4


def test_weights_are_a_combiner() -> None:
    content = as_json(weights={"crossing": 2, "signal.sales": -0.5}, twinrank={"model": "tiny"})
    combiner = parse_combiner(content)
    assert (combiner.features, combiner.model, combiner.kind) == (
        ("crossing", "signal.sales"),
        "tiny",
        "linear",
    )
    assert combiner(np.array([[1.0, 4.0], [3.0, 0.0]])).tolist() == [0.0, 6.0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a combiner as JSON"),
        (b"[]", "a combiner as JSON"),
        (b"\xff", "a combiner as JSON"),
        (b'{"tree_info": ' + b"[" * 9000, "a combiner as JSON"),
        (b"{}", "found neither"),
        (as_json(weights={"crossing": 1}, tree_info=[]), "found both"),
        (as_json(weights={}), "1 to 1000 weights, found 0"),
        (as_json(weights={"crossing": "1"}), "Expected `float`, got `str` - at `$.weights[...]`"),
        (b'{"weights": {"crossing": NaN}}', "a combiner as JSON"),
        (b'{"weights": {"crossing": 1e301}}', "a number for the weight of 'crossing', found 1e+301"),
        (trees(), "1 to 1000 trees, found 0"),
        (trees(*[LEAF] * (MAX_TREES + 1)), "1 to 1000 trees, found 1001"),
        (as_json(tree_info=[{"tree_structure": LEAF}]), "1 to 1000 feature_names, found 0"),
        (trees(LEAF, num_tree_per_iteration=3), "one value a hit, found 3 classes"),
        (trees([]), "a node of a tree"),
        (trees({}), "splits by numbers (<=), found None"),
        (trees(SPLIT | {"decision_type": "=="}), "splits by numbers (<=), found '=='"),
        (trees(SPLIT | {"split_feature": 3}), "a feature 0 to 2, found 3"),
        (trees(SPLIT | {"split_feature": -1}), "a feature 0 to 2, found -1"),
        (trees(SPLIT | {"threshold": "1||2"}), "a number as threshold, found '1||2'"),
        (trees(SPLIT | {"threshold": 1e301}), "a number for threshold, found 1e+301"),
        (trees(SPLIT | {"missing_type": "Some"}), "missing_type None, Zero or NaN, found 'Some'"),
        (trees(SPLIT | {"left_child": None}), "a node of a tree"),
        (trees(LEAF | {"leaf_coeff": [1.0]}), "found linear ones"),
        (trees({"leaf_value": 1e301}), "a number for leaf_value"),
        (b" " * (MAX_BYTES + 1), f"at most {MAX_BYTES} bytes"),
    ],
)
def test_what_is_no_combiner_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(CombinerError) as refused:
        parse_combiner(content)
    assert message in str(refused.value)


def nested(depth: int) -> dict[str, Any]:
    """Return a tree that is so deep: a list of splits on the left."""
    node = LEAF
    for _ in range(depth):
        node = SPLIT | {"left_child": node}
    return node


def test_a_tree_is_as_deep_as_it_may_be() -> None:
    assert parse_combiner(trees(nested(MAX_DEPTH)))(np.zeros((1, 3))).tolist() == [1.0]
    with pytest.raises(CombinerError, match="at most 64 levels"):
        parse_combiner(trees(nested(MAX_DEPTH + 1)))


def test_a_file_is_named(tmp_path: Any) -> None:  # noqa: ANN401
    with pytest.raises(CombinerError, match=r"shop\.json: expected a combiner, found: No such file"):
        read_combiner(tmp_path / "shop.json")
    (tmp_path / "shop.json").write_text("{}")
    with pytest.raises(CombinerError, match=r"shop\.json: expected `weights`"):
        read_combiner(tmp_path / "shop.json")


RANKING = Ranking(np.arange(3), np.zeros(3, np.float32), np.array([3.0, 2.0, 1.0]), 3)
TABLE = FeatureTable(("crossing", "window"), np.array([[1.0, 3.0, 3.0], [3.0, 3.0, 3.0]]))


def test_a_combiner_orders_the_window_and_ties_stay() -> None:
    found = combine(RANKING, LinearCombiner(("crossing",), np.array([2.0])), TABLE)
    assert (found.order.tolist(), found.fused.tolist()) == ([1, 2, 0], [2.0, 6.0, 6.0])
    assert found.features is TABLE


def test_a_feature_that_the_window_lacks_is_named() -> None:
    with pytest.raises(CombinerError, match=r"features crossing, window; found 'signal\.sales'"):
        combine(RANKING, LinearCombiner(("window", "signal.sales"), np.ones(2)), TABLE)


def test_values_that_are_no_numbers_are_refused() -> None:
    large = FeatureTable(TABLE.names, TABLE.values * 1e200)
    with pytest.raises(CombinerError, match="finite values"):
        combine(RANKING, LinearCombiner(("crossing",), np.array([1e300])), large)
