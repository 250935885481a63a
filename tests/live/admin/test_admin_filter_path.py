"""`filter_path`: the same parts as the real OpenSearch keeps of the same answer."""

import json

import pytest
from opensearchpy import OpenSearch

from plugin.admin.filter_path import apply_filter_path
from tests.support.http.raw_http import ask

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

PATHS = [
    "*", "**", "nothing", "*.mappings", "*.mappings._meta", "*.mappings.properties.*.type", "**.type",
    "*.settings.index.creation*", "*.mappings._meta.list", "*.mappings._meta.list.a", "-*.settings",
    "-**.type", "*.mappings,-*.mappings._meta", "*.aliases", "**.a", "*.m*,*.settings.index.uuid", "-*",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_it_is_opensearchs_own(client: OpenSearch, opensearch_url: str, index_name: str, path: str) -> None:
    client.indices.create(
        index=index_name,
        body={
            "mappings": {
                "_meta": {"list": [{"a": 1, "b": 2}, {"b": 3}, 4], "x": None},
                "properties": {"t": {"type": "text"}, "o": {"properties": {"n": {"type": "long"}}}},
            }
        },
    )
    whole = json.loads(ask(opensearch_url, "GET", f"/{index_name}").body)
    expected = json.loads(ask(opensearch_url, "GET", f"/{index_name}?filter_path={path}").body)
    assert apply_filter_path(whole, path) == expected
