"""How a shard is cut, from what OpenSearch's percentiles may return."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch.changes.slice_plans import _make_bounds


@pytest.mark.parametrize(("after", "values", "upto", "bounds"), [
    (-1, [4.5, 9.2], 14, (-1, 4, 9, 14)),
    (-1, [], 14, (-1, 14)),
    (-1, [None, None], -1, (-1, -1, -1, -1)),
    (99, [None, None], 99, (99, 99, 99, 99)),
    (-1, [9.0, 4.0], 14, (-1, 9, 9, 14)),
    (5, [2.0, 99.0], 14, (5, 5, 14, 14)),
])  # fmt: skip
def test_bounds(after: int, values: list[float | None], upto: int, bounds: tuple[int, ...]) -> None:
    assert _make_bounds(after, values, upto) == bounds


@given(
    st.integers(-1, 1000),
    st.lists(st.one_of(st.none(), st.floats(-10, 3000)), max_size=20),
    st.integers(0, 2000),
)
def test_every_operation_is_in_one_slice(after: int, values: list[float | None], more: int) -> None:
    bounds = _make_bounds(after, values, after + more)
    assert len(bounds) == len(values) + 2
    found = [number for low, high in itertools.pairwise(bounds) for number in range(low + 1, high + 1)]
    assert found == list(range(after + 1, after + more + 1))
