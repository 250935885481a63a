"""Read a combiner from a JSON file: weights, or a model that LightGBM has dumped. Nothing in it is executed.

    {"twinrank": {"model": "NAME"}, "weights": {"first_stage_log": 1, "crossing": 9.2}}
    {"twinrank": {"model": "NAME"}, ...what `Booster.dump_model()` returns...}

`twinrank` may be left out. Everything is checked at once, so that a search never finds a damaged tree.
"""

import math
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Raw

from reranker.combiner import Combiner, LinearCombiner, TreeCombiner
from reranker.errors import CombinerError

MAX_BYTES = 16 * 2**20
MAX_FEATURES, MAX_TREES, MAX_NODES, MAX_DEPTH = 1000, 1000, 100_000, 64

_LARGEST = 1e300
"""Of a threshold or a value: beyond it sums are no numbers any more. LightGBM writes 1e300 for `always`."""


class _Note(msgspec.Struct):
    model: str | None = None


class _Tree(msgspec.Struct):
    tree_structure: Raw


class _File(msgspec.Struct):
    """What is read of a file; everything else is ignored, as LightGBM writes much more."""

    twinrank: _Note = msgspec.field(default_factory=_Note)
    weights: dict[str, float] | None = None
    feature_names: list[str] | None = None
    tree_info: list[_Tree] | None = None
    num_tree_per_iteration: int = 1


class _Node(msgspec.Struct):
    """One node of a dumped tree; a leaf has a `leaf_value` and no children."""

    leaf_value: float | None = None
    leaf_coeff: list[float] | None = None
    split_feature: int | None = None
    threshold: float | str | None = None
    decision_type: str | None = None
    default_left: bool = False
    missing_type: str = "None"
    left_child: Raw = Raw(b"null")
    right_child: Raw = Raw(b"null")


_FILE, _NODE = msgspec.json.Decoder(_File), msgspec.json.Decoder(_Node)


def read_combiner(file: Path) -> Combiner:
    """Read a combiner.

    Raises:
        CombinerError: the file cannot be read, or is none: says what was expected and what was found.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise CombinerError(f"{file}: expected a combiner, found: {error.strerror or error}") from error
    try:
        return parse_combiner(content)
    except CombinerError as error:
        raise CombinerError(f"{file}: {error}") from error


def parse_combiner(content: bytes) -> Combiner:
    """Return the combiner that JSON describes.

    Raises:
        CombinerError: it describes none.
    """
    if len(content) > MAX_BYTES:
        raise CombinerError(f"expected at most {MAX_BYTES} bytes, found {len(content)}")
    try:
        file = _FILE.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CombinerError(f"expected a combiner as JSON, found: {error}") from error
    if (file.weights is None) == (file.tree_info is None):
        both = "neither" if file.weights is None else "both"
        raise CombinerError(f"expected `weights`, or `tree_info` as LightGBM writes it; found {both}")
    return _build_linear(file) if file.weights is not None else _build_trees(file)


def _build_linear(file: _File) -> LinearCombiner:
    weights = file.weights or {}
    _check_number("weights", len(weights), MAX_FEATURES)
    for name, weight in weights.items():
        _check_value(f"the weight of {name!r}", weight)
    return LinearCombiner(tuple(weights), np.array(list(weights.values()), np.float64), file.twinrank.model)


def _build_trees(file: _File) -> TreeCombiner:
    names, trees = file.feature_names or [], file.tree_info or []
    _check_number("feature_names", len(names), MAX_FEATURES)
    _check_number("trees", len(trees), MAX_TREES)
    if file.num_tree_per_iteration != 1:
        raise CombinerError(f"expected one value a hit, found {file.num_tree_per_iteration} classes")
    nodes = _NodeList(len(names))
    for each in trees:
        nodes.add_tree(each.tree_structure)
    return TreeCombiner(
        features=tuple(names),
        roots=np.array(nodes.roots, np.intp),
        feature=np.array(nodes.feature, np.intp),
        children=np.array([nodes.left, nodes.right], np.intp).T.ravel(),
        threshold=np.array(nodes.threshold, np.float64),
        zero_is_missing=np.array([each == "Zero" for each in nodes.missing], np.bool_),
        nan_is_missing=np.array([each == "NaN" for each in nodes.missing], np.bool_),
        missing_left=np.array(nodes.missing_left, np.bool_),
        value=np.array(nodes.value, np.float64),
        depth=nodes.depth,
        model=file.twinrank.model,
    )


class _NodeList:
    """The nodes of all trees, one list for each attribute of `TreeCombiner`."""

    def __init__(self, num_features: int) -> None:
        self._num_features = num_features
        self.roots: list[int] = []
        self.feature: list[int] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.threshold: list[float] = []
        self.missing: list[str] = []
        self.missing_left: list[bool] = []
        self.value: list[float] = []
        self.depth = 0

    def add_tree(self, root: Raw) -> None:
        """Add a dumped tree's nodes.

        Raises:
            CombinerError: it has too many or too deep ones, or one that this version does not know.
        """
        self.roots.append(len(self.value))
        waiting = [(self._add(root), 0)]
        while waiting:
            (number, node), depth = waiting.pop()
            self.depth = max(self.depth, depth)
            if depth > MAX_DEPTH:
                raise CombinerError(f"expected trees of at most {MAX_DEPTH} levels, found a deeper one")
            if node.leaf_value is not None:
                continue
            children = [self._add(node.left_child), self._add(node.right_child)]
            self.left[number], self.right[number] = (child for child, _ in children)
            waiting += [(child, depth + 1) for child in children]

    def _add(self, raw: Raw) -> tuple[int, _Node]:
        """Append one node, whose children are not known yet, and return its number."""
        try:
            node = _NODE.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise CombinerError(f"expected a node of a tree, found: {error}") from error
        number = len(self.value)
        if number >= MAX_NODES:
            raise CombinerError(f"expected at most {MAX_NODES} nodes in all, found more")
        if node.leaf_value is None:
            _check_split(node, self._num_features)
        elif node.leaf_coeff:
            raise CombinerError("expected leaves with one value, found linear ones (`linear_tree`)")
        else:
            _check_value("leaf_value", node.leaf_value)
        self.left.append(number)
        self.right.append(number)
        self.feature.append(node.split_feature or 0)
        self.threshold.append(float(node.threshold or 0.0))
        self.missing.append(node.missing_type)
        self.missing_left.append(node.default_left)
        self.value.append(node.leaf_value or 0.0)
        return number, node


def _check_split(node: _Node, num_features: int) -> None:
    if node.decision_type != "<=":
        raise CombinerError(f"expected splits by numbers (<=), found {node.decision_type!r}")
    if node.split_feature is None or not 0 <= node.split_feature < num_features:
        raise CombinerError(f"expected a feature 0 to {num_features - 1}, found {node.split_feature!r}")
    if not isinstance(node.threshold, float | int):
        raise CombinerError(f"expected a number as threshold, found {node.threshold!r}")
    _check_value("threshold", node.threshold)
    if node.missing_type not in ("None", "Zero", "NaN"):
        raise CombinerError(f"expected missing_type None, Zero or NaN, found {node.missing_type!r}")


def _check_number(what: str, found: int, most: int) -> None:
    if not 1 <= found <= most:
        raise CombinerError(f"expected 1 to {most} {what}, found {found}")


def _check_value(what: str, value: float) -> None:
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise CombinerError(f"expected a number for {what}, found {value}")
