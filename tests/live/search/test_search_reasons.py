"""Searches that are not reranked, or not wholly: each is OpenSearch's own answer, and says why."""

import base64
import json
import time
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch

from reranker.stored_vector import pack
from tests.support.http.raw_http import RawAnswer, ids, search
from tests.support.indices.toy_index import WINDOW, ToyIndex, index_body

pytestmark = [pytest.mark.live, pytest.mark.opensearch_2_19]

PASSED: list[tuple[str, object, str]] = [
    ("sort", {"query": {"match_all": {}}, "sort": ["n"]}, ""),
    ("query_text", {"query": {"match_all": {}}}, ""),
    ("query_text", b"", ""),
    ("size", {"query": {"match_all": {}}, "size": 0}, ""),
    ("scroll", {"query": {"match_all": {}}}, "?scroll=1m"),
    ("body", b'// comment\n{"query":{"match_all":{}}}', ""),
    ("body", b"{", ""),
    ("query_text", {"query": {"no_such_query": {}}}, ""),
    ("tomorrow", {"tomorrow": 1}, ""),
    ("search_pipeline", {"query": {"match_all": {}}}, "?search_pipeline=absent"),
]


@pytest.mark.parametrize(("reason", "body", "parameters"), PASSED)
def test_what_is_not_reranked_is_opensearchs_own_answer(
    proxy_url: str, toy_index: ToyIndex, reason: str, body: object, parameters: str
) -> None:
    straight = search(toy_index.url, toy_index.name, body, parameters)
    through = search(proxy_url, toy_index.name, body, parameters)
    assert through.rerank_status == f"skipped; reason={reason}"
    assert comparable(through) == without_vectors(straight)


def comparable(answer: RawAnswer) -> tuple[int, dict[str, Any]]:
    body = json.loads(answer.body)
    body.pop("took", None)
    body.pop("_scroll_id", None)
    return answer.status, body


def without_vectors(answer: RawAnswer) -> tuple[int, dict[str, Any]]:
    """Our field never shows, in what is passed through neither."""
    status, body = comparable(answer)
    for hit in body.get("hits", {}).get("hits", ()):
        assert hit["_source"].pop("rerank")
    return status, body


@pytest.mark.parametrize("with_index", [True, False])
def test_without_settings_nothing_changes(
    client: OpenSearch, proxy_url: str, opensearch_url: str, index_name: str, with_index: bool
) -> None:
    if with_index:
        client.index(index=index_name, body={"text": "wait a bit"}, refresh=True)
    body = {"query": {"match": {"text": "wait"}}}
    through = search(proxy_url, index_name, body)
    assert through.rerank_status == "skipped; reason=not_enabled"
    assert comparable(through) == comparable(search(opensearch_url, index_name, body))


def one_document(toy_index: ToyIndex, proxy_url: str, name: str, body: dict[str, Any]) -> RawAnswer:
    """Make an index with one document without a vector, and search it."""
    toy_index.client.indices.create(index=name, body=body)
    toy_index.client.index(index=name, body={"text": toy_index.query_text}, refresh=True)
    return search(proxy_url, name, {"query": toy_index.query})


@pytest.mark.parametrize(("reason", "settings"), [
    ("settings", {"window_sise": 10}),
    ("settings", {"window_size": "many"}),
    ("model", {"model": "another"}),
    ("disabled", {"enabled": False}),
    ("vectors", {}),
])  # fmt: skip
def test_reasons_in_the_settings(
    proxy_url: str, toy_index: ToyIndex, index_name: str, reason: str, settings: dict[str, Any]
) -> None:
    answer = one_document(toy_index, proxy_url, index_name, index_body(toy_index.bundle, **settings))
    assert (answer.status, answer.rerank_status) == (200, f"skipped; reason={reason}")
    assert len(ids(answer)) == 1


def test_on_failure_error_is_a_503_that_names_the_reason(
    proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    body = index_body(toy_index.bundle, on_failure="error")
    answer = one_document(toy_index, proxy_url, index_name, body)
    error = json.loads(answer.body)
    assert (answer.status, error["status"]) == (503, 503)
    assert "reason=vectors" in error["error"]["reason"]


def test_a_default_search_pipeline_is_left_to_work_on_the_clients_own_request(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    client.transport.perform_request("PUT", "/_search/pipeline/none", body={"request_processors": []})
    body = index_body(toy_index.bundle)
    body["settings"]["index.search.default_pipeline"] = "none"
    answer = one_document(toy_index, proxy_url, index_name, body)
    assert answer.rerank_status == "skipped; reason=search_pipeline"


def test_hits_without_usable_vectors_stay_and_are_counted(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex
) -> None:
    """Missing, corrupt, of another model: each keeps a place, none fails the search."""
    of_another_model = pack(np.ones((1, 8), np.float32), text_hash=0, model_tag=1)
    unusable = {
        "missing": {},
        "corrupt": {"rerank": {"vector": "QUJD"}},
        "foreign": {"rerank": {"vector": base64.b64encode(of_another_model).decode()}},
    }
    for name, member in unusable.items():
        client.index(
            index=toy_index.name, id=name, body={"text": toy_index.query_text, **member}, refresh=True
        )
    answer = search(proxy_url, toy_index.name, {"query": toy_index.query, "size": WINDOW})
    for name in unusable:
        client.delete(index=toy_index.name, id=name, refresh=True)
    assert f"window={WINDOW}; scored={WINDOW - 3};" in answer.rerank_status
    assert unusable.keys() <= set(ids(answer))


def test_what_opensearch_refuses_of_the_widened_request_is_answered_by_the_clients_own(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    body = index_body(toy_index.bundle)
    body["settings"]["index.max_docvalue_fields_search"] = 1
    client.indices.create(index=index_name, body=body)
    client.index(index=index_name, body={"text": toy_index.query_text, "n": 1}, refresh=True)
    asked = {"query": toy_index.query, "_source": False, "docvalue_fields": ["n"]}
    answer = search(proxy_url, index_name, asked)
    assert (answer.status, answer.rerank_status) == (200, "skipped; reason=upstream")
    assert len(ids(answer)) == 1


def test_the_window_is_no_larger_than_the_indexs_own_limit(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    body = index_body(toy_index.bundle, window_size=5_000)
    body["settings"]["index.max_result_window"] = 20
    client.indices.create(index=index_name, body=body)
    client.reindex(body={"source": {"index": toy_index.name}, "dest": {"index": index_name}}, refresh=True)
    answer = search(proxy_url, index_name, {"query": toy_index.query})
    assert answer.rerank_status.startswith("applied; window=20; scored=20")
    beyond = search(proxy_url, index_name, {"query": toy_index.query, "from": 15})
    assert (beyond.status, beyond.rerank_status) == (400, "skipped; reason=max_result_window")


def test_several_indices_must_agree(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(toy_index.bundle, source_fields=["title"]))
    both = f"{toy_index.name},{index_name}"
    assert search(proxy_url, both, {"query": toy_index.query}).rerank_status == "skipped; reason=indices"


def test_a_changed_setting_is_followed_without_a_restart(
    client: OpenSearch, proxy_url: str, toy_index: ToyIndex, index_name: str
) -> None:
    client.indices.create(index=index_name, body=index_body(toy_index.bundle, enabled=False))
    body = {"query": toy_index.query}
    assert search(proxy_url, index_name, body).rerank_status == "skipped; reason=disabled"
    meta = index_body(toy_index.bundle)["mappings"]["_meta"]
    client.indices.put_mapping(index=index_name, body={"_meta": meta})
    deadline_s = time.monotonic() + 10
    while not search(proxy_url, index_name, body).rerank_status.startswith("applied"):
        assert time.monotonic() < deadline_s, "the new setting did not take effect"
        time.sleep(0.1)
