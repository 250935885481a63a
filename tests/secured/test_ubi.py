"""Records of searches on a secured cluster: written by the service account with the role that is deployed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from opensearch.client import OpenSearchClient
from plugin.ubi.indices import EVENTS, QUERIES, create_ubi_indices
from tests.secured.conftest import ROLES, Secured
from tests.support.http.raw_http import ids
from tests.support.metrics_text import METRICS
from tests.support.paths import ROOT
from tests.support.ubi_records import count_records
from tests.support.waiting import until

pytestmark = pytest.mark.live

ROLE: dict[str, Any] = json.loads((ROOT / "opensearch" / "deploy" / "roles" / "ubi.json").read_text())


@pytest.fixture
def ubi_role(secured: Secured) -> Iterator[None]:
    """Create the indices, and give the service account the role; take both back afterwards."""
    client = OpenSearchClient(secured.url_as("admin"))
    create_ubi_indices(client)
    client.close()
    own = ROLES["service"]
    secured.set_role("service", {name: [*own[name], *ROLE[name]] for name in own})
    yield
    secured.set_role("service", own)
    secured.admin.indices.delete(index=f"{QUERIES},{EVENTS}")


def ask_counts(secured: Secured) -> dict[str, int]:
    return count_records(secured.through("admin", "GET", METRICS).body.decode())


def test_the_role_lets_the_service_account_record_for_callers_without_it(
    secured: Secured, ubi_role: None
) -> None:
    answer = secured.search("reader", size=5, ext={"ubi": {"query_id": "secured"}})
    assert answer.status == 200
    found: list[dict[str, Any]] = []

    def is_written() -> bool:
        secured.admin.indices.refresh(index=QUERIES)
        hits = secured.admin.search(index=QUERIES, body={"query": {"term": {"query_id": "secured"}}})
        found[:] = [hit["_source"] for hit in hits["hits"]["hits"]]
        return bool(found)

    until(is_written, "a record", lambda: ask_counts(secured))
    assert [each["query_response_hit_ids"] for each in found] == [ids(answer)]
    assert secured.straight("reader", "GET", f"/{QUERIES}/_search").status == 403


def test_without_the_role_records_are_counted_as_denied(secured: Secured) -> None:
    before = ask_counts(secured).get("denied", 0)
    assert secured.search("reader", ext={"ubi": {}}).status == 200
    until(lambda: ask_counts(secured).get("denied", 0) == before + 1, "a loss", lambda: ask_counts(secured))
