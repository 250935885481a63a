"""Golden searches, a folder each: sent straight to OpenSearch and through the proxy, equal byte for byte.

`request.json` has `method`, `target` and `body` (JSON, or a string that is sent as it stands); `{pit}` and
`{text}` are filled in. `expected.json` has `status`, the beginning of `Rerank-Status`; `query_text` where it
is reranked; `drop`, keys that OpenSearch itself does not know; `shows_field` where our field is asked for by
name, or is none of ours; `mask`, what differs from call to call.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from opensearchpy import OpenSearch

from plugin.harness.proxy_process import running_proxy
from plugin.server.client_options import GTHREAD
from reranker.bundle import Bundle
from tests.support.cores import core_arguments
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.golden_answer import (
    Hits,
    assert_same,
    fused_order,
    key_of,
    masked,
    with_score_of,
    without_ours,
)
from tests.support.indices.golden_index import WINDOW, GoldenIndices, make_golden_indices
from tests.support.paths import TESTS, TINY_BUNDLE
from tests.support.waiting import until

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
FOLDER = TESTS / "searches"
CASES = sorted(folder.name for folder in FOLDER.iterdir())


@dataclass(frozen=True)
class Call:
    method: str
    target: str
    body: bytes
    headers: dict[str, str]

    def sent(self, url: str) -> RawAnswer:
        return ask(url, self.method, self.target, self.body, self.headers)

    def without(self, keys: list[str]) -> "Call":
        """Return the same search without these keys of its body, which OpenSearch does not know."""
        if not keys:
            return self
        body = {key: value for key, value in json.loads(self.body).items() if key not in keys}
        return replace(self, body=json.dumps(body).encode())

    def with_parameters(self, left_out: tuple[str, ...], **added: object) -> "Call":
        path, _, query = self.target.partition("?")
        kept = [part for part in query.split("&") if part and part.partition("=")[0] not in left_out]
        return replace(self, target=f"{path}?{'&'.join([*kept, urlencode(added)])}")


@pytest.fixture(scope="module")
def golden(client: OpenSearch, opensearch_url: str, proxy_url: str) -> Iterator[GoldenIndices]:
    """Yield the indices that the cases name, once the proxy follows the data stream to its newer index."""
    made = make_golden_indices(client, opensearch_url, Bundle.open(TINY_BUNDLE))
    body = json.dumps({"query": {"match": {"text": made.query_text}}}).encode()
    call = Call("POST", "/golden-stream/_search", body, {"Content-Type": "application/json"})
    until(lambda: _is_newer(call.sent(proxy_url).rerank_status), "the window of the stream's newer index")
    yield made
    client.transport.perform_request("DELETE", "/_data_stream/golden-stream")
    client.indices.delete_index_template(name="golden-stream")
    client.indices.delete(index="golden*")


def _is_newer(rerank_status: str) -> bool:
    return rerank_status.startswith("applied;") and "window=5;" not in rerank_status


@pytest.fixture(scope="module")
def pit(client: OpenSearch, golden: GoldenIndices) -> Iterator[str]:
    """Yield a point in time of `golden-books`."""
    opened = client.create_pit(index="golden-books", params={"keep_alive": "10m"})
    yield opened["pit_id"]
    client.delete_pit(body={"pit_id": [opened["pit_id"]]})


def read(case: str, golden: GoldenIndices, pit: str) -> tuple[Call, dict[str, Any]]:
    text = (FOLDER / case / "request.json").read_text()
    request = json.loads(text.replace("{pit}", pit).replace("{text}", golden.query_text))
    body = request.get("body", "")
    data = body if isinstance(body, str) else json.dumps(body)
    headers = request.get("headers", {"Content-Type": "application/json"} if data else {})
    target = quote(request["target"], safe="/?&=%,*:+-.~_!$'()@\\")
    expected = json.loads((FOLDER / case / "expected.json").read_text())
    return Call(request["method"], target, data.encode(), headers), expected


@pytest.mark.parametrize("case", CASES)
def test_it_is_opensearchs_own_answer_but_for_the_order(
    opensearch_url: str, proxy_url: str, golden: GoldenIndices, pit: str, case: str
) -> None:
    call, expected = read(case, golden, pit)
    known = call.without(expected.get("drop", []))
    straight, through = known.sent(opensearch_url), call.sent(proxy_url)
    assert (through.status, through.headers.get("content-type")) == (
        straight.status, straight.headers.get("content-type"),
    )  # fmt: skip
    assert through.rerank_status.startswith(expected.get("status", ""))
    mask = expected.get("mask", [])
    text = straight.body.decode()
    if "query_text" in expected:
        text = reordered(known, text, opensearch_url, golden, expected)
    wanted = text if expected.get("shows_field") else without_ours(text)
    assert_same(masked(through.body.decode(), mask), masked(wanted, mask))
    for _ in range(4 if "golden-fat" in call.target else 0):  # once a worker knows, it splits the search
        again = call.sent(proxy_url)
        assert_same(masked(again.body.decode(), mask), masked(wanted, mask))


@pytest.fixture(scope="module")
def threaded_url(opensearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the URL of a proxy that answers searches in threads."""
    folder, arguments = tmp_path_factory.mktemp("proxy"), core_arguments(GTHREAD)
    with running_proxy(opensearch_url, folder, bundle=TINY_BUNDLE, arguments=arguments) as proxy:
        yield proxy.url


@pytest.mark.parametrize("case", CASES)
def test_threads_and_the_event_loop_answer_alike(
    proxy_url: str, threaded_url: str, golden: GoldenIndices, pit: str, case: str
) -> None:
    call, expected = read(case, golden, pit)
    mask = expected.get("mask", [])
    on_loop, in_thread = (
        replace(found, body=masked(found.body.decode(), mask).encode(), headers=_without_times(found.headers))
        for found in (call.sent(proxy_url), call.sent(threaded_url))
    )
    assert on_loop == in_thread


def _without_times(headers: dict[str, str]) -> dict[str, str]:
    """Return headers without what differs from call to call."""
    return {
        name: value
        for name, value in headers.items()
        if name not in ("server-timing", "x-opaque-id", "content-length")
    }


def reordered(call: Call, straight: str, url: str, golden: GoldenIndices, expected: dict[str, Any]) -> str:
    """Return OpenSearch's answer with the hits of the page that the formula gives."""
    start, size = expected.get("from", 0), expected.get("size", 10)
    window = expected.get("window", WINDOW)
    num_hits = max(window, start + size)
    paging = ("from", "size", "scroll")
    whole = call.with_parameters(paging, **{"from": 0, "size": num_hits}).sent(url).body.decode()
    bare = call.with_parameters(
        (*paging, "filter_path", "human", "format"), **{"from": 0, "size": num_hits}
    ).sent(url)
    found = json.loads(bare.body)["hits"]["hits"]
    scores = [hit["_score"] for hit in found[:window]]
    crossing = golden.crossing(
        expected["query_text"].replace("{text}", golden.query_text), [key_of(hit) for hit in found[:window]]
    )
    order = fused_order(scores, crossing, golden.bundle.manifest.fusion.weight) if scores else []
    order += range(len(order), len(found))
    assert expected.get("ties") or order != list(range(len(found))), "the case does not show an order of ours"
    texts = Hits.of(whole).texts
    page = [
        with_score_of(texts[position], texts[rank])
        for rank, position in list(enumerate(order))[start : start + size]
        if texts
    ]
    return Hits.of(straight).with_texts(page)
