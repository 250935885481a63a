"""The admin's endpoints, on the real proxy and the real OpenSearch."""

import json
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from opensearchpy import OpenSearch
from werkzeug.test import Client

from plugin.admin import responses
from plugin.encoding.model import Model
from plugin.proxy import Proxy
from plugin.upstream.client import Upstream
from reranker.bundle import Bundle
from tests.support.http.raw_http import RawAnswer, ask
from tests.support.indices.toy_index import ToyIndex
from tests.support.paths import TINY_BUNDLE

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]
OWN = "/_plugins/_rerank/"
TINY_WEIGHT = Bundle.open(TINY_BUNDLE).manifest.fusion.weight
JSON_BODY = {"Content-Type": "application/json"}


@pytest.fixture
def index(client: OpenSearch, index_name: str) -> str:
    client.index(index=index_name, body={"text": "alpha"}, refresh=True)
    return index_name


def call(url: str, method: str, path: str, body: object = None) -> RawAnswer:
    data = None if body is None else json.dumps(body).encode()
    return ask(url, method, OWN + path, data, JSON_BODY if data else {})


def told(answer: RawAnswer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    found: dict[str, Any] = json.loads(answer.body)
    return found


def test_an_index_is_enabled_changed_and_disabled(proxy_url: str, client: OpenSearch, index: str) -> None:
    dry = told(call(proxy_url, "POST", f"enable/{index}?dry_run", {"source_fields": ["text"]}))
    assert dry["acknowledged"] is False
    assert dry["indices"][index]["_meta"] == {"rerank": {"model": "tiny", "source_fields": ["text"]}}
    assert "_meta" not in client.indices.get_mapping(index=index)[index]["mappings"]
    told(call(proxy_url, "POST", f"enable/{index}", {"source_fields": ["text"]}))
    told(call(proxy_url, "PUT", f"settings/{index}", {"window_size": 20}))
    values = told(call(proxy_url, "GET", f"settings/{index}"))[index]["settings"]
    assert values["window_size"] == {"value": 20, "from": "index mapping"}
    assert values["fusion.weight"] == {"value": TINY_WEIGHT, "from": "model bundle"}
    assert values["migration.model"] == {"value": None, "from": "default"}
    dry = told(call(proxy_url, "POST", f"enable/{index}?dry_run", {"fusion": {"weight": 3}}))
    assert dry["indices"][index]["changes"] == [f"fusion.weight: {TINY_WEIGHT} (default of tiny) -> 3.0"]
    assert told(call(proxy_url, "GET", f"status/{index}"))["documents"] == 1
    done = told(call(proxy_url, "POST", f"disable/{index}"))
    assert done["indices"][index]["changes"] == ["enabled: true -> false"]
    assert told(call(proxy_url, "POST", f"disable/{index}"))["indices"][index]["changes"] == []
    told(call(proxy_url, "POST", f"enable/{index}"))
    rerank = client.indices.get_mapping(index=index)[index]["mappings"]["_meta"]["rerank"]
    assert rerank == {"model": "tiny", "source_fields": ["text"], "window_size": 20}


def test_a_broken_mapping_is_explained(proxy_url: str, client: OpenSearch, index: str) -> None:
    client.indices.put_mapping(index=index, body={"_meta": {"rerank": {"modell": "x"}}})
    report = told(call(proxy_url, "GET", f"settings/{index}"))[index]
    assert report["settings"] == {}
    assert "_meta.rerank.modell: expected one of" in report["problems"][0]
    assert "did you mean `model`?" in report["problems"][0]


def test_templates_are_named_as_origin(proxy_url: str, client: OpenSearch) -> None:
    name = "admin-views-logs"
    meta = {"rerank": {"model": "tiny", "source_fields": ["text"], "window_size": 33}}
    template = {"mappings": {"_meta": meta}}
    client.indices.put_index_template(
        name=name, body={"index_patterns": [f"{name}*"], "data_stream": {}, "template": template}
    )
    client.indices.create_data_stream(name=name)
    try:
        report = told(call(proxy_url, "GET", f"settings/{name}"))[f".ds-{name}-000001"]
        assert report["settings"]["window_size"] == {"value": 33, "from": "index template"}
        assert report["problems"] == [f"rerank.vector is not mapped: twinrank enable .ds-{name}-000001"]
    finally:
        client.indices.delete_data_stream(name=name)
        client.indices.delete_index_template(name=name)


def test_a_search_is_explained_as_it_is_reranked(proxy_url: str, toy_index: ToyIndex) -> None:
    body = {"query": toy_index.query, "size": 20}
    steps = told(call(proxy_url, "POST", f"explain/{toy_index.name}", body))
    assert [hit["_id"] for hit in steps["hits"]] == toy_index.expected_order()[:20]
    assert steps["rerank_status"].startswith("applied; window=100; scored=100;")
    assert (steps["used"]["query_text"], steps["used"]["scored"]) == (toy_index.query_text, 100)
    assert steps["hits"][0]["rerank"].keys() >= {"rank", "first_stage_rank", "crossing", "fused"}
    assert steps["settings"][toy_index.name]["settings"]["model"]["from"] == "index mapping"
    assert steps["search"] == body


def test_a_search_passed_through_is_explained(proxy_url: str, toy_index: ToyIndex, index: str) -> None:
    body = {"query": toy_index.query, "sort": ["n"]}
    sorted_ = told(call(proxy_url, "POST", f"explain/{toy_index.name}", body))
    assert sorted_["rerank_status"] == "skipped; reason=sort"
    in_body = told(call(proxy_url, "POST", f"explain/{toy_index.name}", {"query": {"match_all": {}}}))
    assert in_body["rerank_status"] == "skipped; reason=query_text"
    plain = told(call(proxy_url, "GET", f"explain/{index}?text=alpha"))
    assert plain["rerank_status"] == "skipped; reason=not_enabled"
    assert len(plain["hits"]) == 1


def test_pretty_and_filter_path(proxy_url: str, toy_index: ToyIndex) -> None:
    path = f"settings/{toy_index.name}?filter_path=**.window_size.value"
    assert told(call(proxy_url, "GET", path)) == {
        toy_index.name: {"settings": {"window_size": {"value": 100}}}
    }
    pretty = call(proxy_url, "GET", f"{path}&pretty").body
    assert pretty.startswith(b'{\n  "')
    assert json.loads(pretty) == json.loads(call(proxy_url, "GET", path).body)


@pytest.mark.parametrize(("method", "path", "body", "status", "words"), [
    ("GET", "settings/no-such-index", None, 404, "no index 'no-such-index'"),
    ("PUT", "settings/{}", {"source_fields": ["t"], "window_sise": 1}, 400, "did you mean `window_size`?"),
    ("PUT", "settings/{}", [], 400, "expected a JSON object"),
    ("POST", "enable/UPPER", {"source_fields": ["t"]}, 400, "must be lowercase"),
    ("POST", "disable/{}", None, 400, "expected settings in the mapping"),
    ("GET", "explain/{}", None, 400, "expected a search as body"),
    ("PUT", "experiment/{}", {"name": "a"}, 400, "expected settings in the mapping"),
    ("GET", "experiment/no-such-index", None, 404, "no index 'no-such-index'"),
    ("GET", "experiment/{}/report?max_clicks=0", None, 400, "expected a whole number from 1, found '0'"),
    ("DELETE", "settings/{}", None, 405, "settings/"),
])  # fmt: skip
def test_errors_have_opensearchs_shape(
    proxy_url: str, index: str, method: str, path: str, body: object, status: int, words: str
) -> None:
    answer = call(proxy_url, method, path.format(index), body)
    error = json.loads(answer.body)
    assert (answer.status, error["status"]) == (status, status)
    assert words in error["error"]["reason"]
    assert error["error"]["root_cause"][0]["type"] == error["error"]["type"]


def test_a_body_of_another_format_is_refused(proxy_url: str, index: str) -> None:
    """A form that another site makes a browser send must not change settings."""
    answer = ask(proxy_url, "PUT", f"{OWN}settings/{index}", b"{}", {"Content-Type": "text/plain"})
    assert (answer.status, "Content-Type" in answer.body.decode()) == (400, True)


class _Recorder(BaseHTTPRequestHandler):
    """Stands for a cluster with accounts, which the server of the tests has not: notes who asks."""

    def do_GET(self) -> None:
        self.server.callers.append(self.headers.get("Authorization"))  # type: ignore[attr-defined]
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_GET  # noqa: N815  # the names that the library calls

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "settings/x"), ("PUT", "settings/x"), ("POST", "enable/x"), ("POST", "disable/x"),
    ("GET", "status/x"), ("GET", "explain/x?text=y"), ("GET", "experiment/x"), ("PUT", "experiment/x"),
    ("DELETE", "experiment/x"), ("GET", "experiment/x/report"),
])  # fmt: skip
def test_opensearch_is_asked_as_the_caller_and_its_no_is_answered(method: str, path: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recorder)
    server.callers = []  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    with closing(Upstream(f"http://127.0.0.1:{server.server_address[1]}")) as upstream:
        proxied = Client(Proxy(upstream, Model.load(Bundle.open(TINY_BUNDLE))))
        answer = proxied.open(OWN + path, method=method, headers={"Authorization": "Basic eDp5"})
    server.shutdown()
    server.server_close()
    assert set(server.callers) == {"Basic eDp5"}  # type: ignore[attr-defined]
    assert (answer.status_code, answer.json["status"]) == (403, 403)  # type: ignore[index]


def test_every_error_has_a_status() -> None:
    assert all(400 <= status < 600 for status, _ in responses.STATUSES.values())
