"""The same again, slowly and plainly: what the quick code is compared with."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reranker.errors import StoredVectorError
from reranker.stored_vector import unpack

PATH = ("rerank", "vector")


def read_json(text: str | bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:  # noqa: ANN401
    """Return a decoded JSON value. Integers are floats: Python refuses one of more than 4,300 digits."""
    return json.loads(text, parse_int=float, object_pairs_hook=pairs)


def without_member(value: Any, path: Sequence[str]) -> tuple[Any, bool]:  # noqa: ANN401  # any JSON
    """Return a decoded object without the member at `path`, and whether there was one.

    An object on the way that held nothing else goes with it.
    """
    if not isinstance(value, dict) or path[0] not in value:
        return value, False
    others = {key: inner for key, inner in value.items() if key != path[0]}
    if len(path) == 1:
        return others, True
    inner, was_there = without_member(value[path[0]], path[1:])
    if not was_there:
        return value, False
    rest = {key: inner if key == path[0] else each for key, each in value.items()}
    return (rest if inner else others), True


def without_vector(source: Any) -> Any:  # noqa: ANN401  # any JSON
    """Return a decoded source without the vector: nested, by its dotted name, or its parent null."""
    rest, was_there = without_member(source, PATH)
    if not was_there:
        rest, was_there = without_member(source, (".".join(PATH),))
    if not was_there and isinstance(source, dict) and source.get(PATH[0], 0) is None:
        rest, _ = without_member(source, PATH[:1])
    return rest


def has_names_twice(text: bytes) -> bool:
    """Whether an object names a member twice: what that means no two readers agree on."""

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in members}) < len(members):
            raise _TwiceError
        return dict(members)

    try:
        read_json(text, pairs)
    except _TwiceError:
        return True
    return False


class _TwiceError(Exception):
    pass


def cosine_scores(query: np.ndarray, packed: Sequence[bytes | None], model_tag: int) -> list[float | None]:
    """Return each hit's best cosine in float64, None where its vector cannot be used; one by one."""
    scores: list[float | None] = []
    for each in packed:
        try:
            stored = unpack(each or b"")
        except StoredVectorError:
            scores.append(None)
            continue
        if stored.model_tag != model_tag or stored.values.shape[1] != len(query):
            scores.append(None)
            continue
        products = stored.values.astype(np.float64) @ query.astype(np.float64)
        scores.append(float(products.max()))
    return scores


def fused_scores(
    first_stage: Sequence[float], crossing: Sequence[float | None], weight: float
) -> list[float]:
    """Return log(first stage) + weight x crossing, the median standing in for what was not scored."""
    known = sorted(score for score in crossing if score is not None)
    middle = len(known) // 2
    neutral = 0.0
    if known:
        neutral = known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2
    filled = [neutral if score is None else score for score in crossing]
    if not any(first_stage):
        return [weight * score for score in filled]
    return [
        (float("-inf") if first == 0 else float(np.log(first))) + weight * score
        for first, score in zip(first_stage, filled, strict=True)
    ]
