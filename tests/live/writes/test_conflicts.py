"""Partial updates that other writers always overtake, and updates under a lock of the client's own."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlencode

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.encoding.model import Model
from plugin.http.headers import Headers
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from plugin.upstream.connection import Body
from plugin.upstream.streamed_response import StreamedResponse
from plugin.writes.conflicts import RETRIES
from reranker.bundle import Bundle
from tests.support.indices.toy_index import index_body
from tests.support.indices.write_checks import state
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

BUNDLE = Bundle.open(TINY_BUNDLE)


class OvertakenUpstream(Upstream):
    """An upstream whose document 1 changes before each write that goes under a lock."""

    def __init__(self, url: str, client: OpenSearch, index: str) -> None:
        super().__init__(url)
        self._client, self._index = client, index
        self.num_overtaken = 0
        self.sent: list[str] = []

    def stream(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        content_length: int | None,
        **more: Any,  # noqa: ANN401
    ) -> StreamedResponse:
        body = self._overtake(target, body)
        return super().stream(method, target, headers, body, content_length, **more)

    def _overtake(self, target: str, body: Body) -> Iterator[bytes]:
        for block in (body,) if isinstance(body, bytes) else body:
            request = f"{target} {block.decode()}"
            self.sent.append(request)
            if "if_seq_no" in request:
                self.num_overtaken += 1
                self._client.update(index=self._index, id="1", body={"doc": {"n": self.num_overtaken}})
            yield block


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.indices.create(index=index_name, body=index_body(BUNDLE, source_fields=["title", "text"]))
    client.index(index=index_name, id="1", body={"title": "a title", "text": "a text", "n": 0})
    client.index(index=index_name, id="bare", body={"n": 0})
    return index_name


def update(client: Client, path: str, body: dict[str, Any], rule: dict[str, int], *, in_bulk: bool) -> int:
    """Send a partial update of INDEX/ID by itself or in a bulk; return its status."""
    index, id_ = path.split("/")
    if not in_bulk:
        return client.post(f"/{index}/_update/{id_}?{urlencode(rule)}", json=body, buffered=True).status_code
    lines = [{"update": {"_id": id_, **rule}}, body]
    data = "".join(json.dumps(line) + "\n" for line in lines)
    answer = client.post(
        f"/{index}/_bulk", data=data, content_type="application/x-ndjson", buffered=True
    ).json
    assert answer is not None
    status: int = answer["items"][0]["update"]["status"]
    return status


@pytest.mark.parametrize("in_bulk", [False, True], ids=["alone", "in a bulk"])
@pytest.mark.parametrize(("rule", "retries"), [({}, RETRIES), ({"retry_on_conflict": 1}, 1)])
def test_an_update_that_is_always_overtaken_ends_with_opensearchs_own_merges(
    client: OpenSearch, opensearch_url: str, index: str, rule: dict[str, int], retries: int, in_bulk: bool
) -> None:
    with closing(OvertakenUpstream(opensearch_url, client, index)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(BUNDLE)))
        assert update(proxy, f"{index}/1", {"doc": {"title": "new"}}, rule, in_bulk=in_bulk) == 200
    writes = [request for request in upstream.sent if "title" in request]
    *locked, last = writes
    assert len(locked) == upstream.num_overtaken > 1
    assert all("retry_on_conflict" not in request for request in locked)
    assert "if_seq_no" not in last
    assert f'"retry_on_conflict": {retries}' in last or f"retry_on_conflict={retries}" in last
    found = state(client, index)
    assert found.documents["1"] == {"title": "new", "text": "a text", "n": upstream.num_overtaken}
    assert found.current == {"1"}


@pytest.mark.parametrize("in_bulk", [False, True], ids=["alone", "in a bulk"])
def test_a_clients_own_lock_holds_for_a_document_without_text(
    client: OpenSearch, opensearch_url: str, index: str, in_bulk: bool
) -> None:
    empty = {"doc": {"title": "", "text": ""}}
    first = client.get(index=index, id="bare")
    own = {"if_seq_no": first["_seq_no"], "if_primary_term": first["_primary_term"]}
    client.update(index=index, id="bare", body={"doc": {"n": 1}})
    with closing(Upstream(opensearch_url)) as upstream:
        proxy = Client(Proxy(upstream, Model.load(BUNDLE)))
        assert update(proxy, f"{index}/bare", empty, own, in_bulk=in_bulk) == 409
        now = own | {"if_seq_no": client.get(index=index, id="bare")["_seq_no"]}
        assert update(proxy, f"{index}/bare", empty, now, in_bulk=in_bulk) == 200
