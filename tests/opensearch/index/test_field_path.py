"""The way to a field: names with dots, fields below objects, and names that are not there."""

import pytest

from opensearch.index.field_path import walk_to_field

LEAF, BELOW = {"type": "keyword"}, {"type": "nested", "properties": {"a.b": {"type": "text"}}}
MAPPING = {"properties": {"title": LEAF, "parts": BELOW}}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("title", [LEAF]),
        ("parts.a.b", [BELOW, {"type": "text"}]),
        ("parts.a", []),
        ("titles", []),
        ("title.raw", []),
    ],
)
def test_the_way_to_a_field(name: str, path: list[object]) -> None:
    assert walk_to_field(MAPPING, name) == path
