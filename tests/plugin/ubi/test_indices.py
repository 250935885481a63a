"""The indices of UBI: exactly what the plugin publishes, created if they are missing."""

import hashlib
import json
from pathlib import Path

import pytest

from opensearch.client import OpenSearchClient
from plugin.ubi.indices import EVENTS, INDEX_SETTINGS, QUERIES, create_ubi_indices, read_mapping
from tests.support.http.routed_upstream import SentRequest, routed
from tests.support.paths import ROOT

FOLDER = ROOT / "plugin" / "ubi" / "schema_1_3"
PUBLISHED = {
    "queries-mapping.json": "3cf851daeb09ee6b37e3620d37fb10cee0bfb4ac",
    "events-mapping.json": "0bfe27b4ea39916842243e54cb2b9ba854696ca0",
}
"""git's names of the files in src/main/resources of github.com/opensearch-project/user-behavior-insights, at
3fee2d8bd55b58916aa23905ecc9587b8f372201."""


def git_name(file: Path) -> str:
    content = file.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_mappings_are_the_published_bytes(name: str) -> None:
    assert git_name(FOLDER / name) == PUBLISHED[name]


def test_both_are_created_as_the_plugin_creates_them() -> None:
    created: dict[str, bytes] = {}

    def answer(request: SentRequest) -> tuple[int, object]:
        index = request.path[1:]
        if request.method == "PUT":
            created[index] = request.body
            return 200, {"acknowledged": True}
        return (200, {index: {}}) if index in created else (404, {"error": {}, "status": 404})

    with routed({f"/{QUERIES}": answer, f"/{EVENTS}": answer}) as upstream:
        client = OpenSearchClient(upstream.url)
        first, again = create_ubi_indices(client), create_ubi_indices(client)
        client.close()
        bodies = [each.body for each in upstream.sent if each.method == "PUT"]
    assert (first.created, first.existing) == ((QUERIES, EVENTS), ())
    assert (again.created, again.existing) == ((), (QUERIES, EVENTS))
    assert len(bodies) == 2
    expected = {"mappings": read_mapping(QUERIES), "settings": INDEX_SETTINGS}
    assert json.loads(created[QUERIES]) == expected
